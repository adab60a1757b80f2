//! Routes that the gateway answers itself: redirects, and answers that are always the same.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::{template, unfit};
use crate::config::error::ConfigError;
use crate::config::node::child;
use crate::config::raw::{RawRedirect, RawRespond};
use crate::config::ready::{Action, Redirect, Respond};
use crate::config::validate::Checker;
use crate::config::value::Flaw;
use crate::context::{Denied, headers as fields_of};
use crate::router::pattern::PathPattern;
use crate::router::template::Template;

/// A route that sends its clients elsewhere.
pub(super) fn redirected(
    check: &mut Checker<'_>,
    at: &str,
    raw: &RawRedirect,
    paths: &[PathPattern],
) -> Action {
    let status = matches!(raw.status, 301 | 302 | 303 | 307 | 308)
        .then(|| StatusCode::from_u16(raw.status).ok())
        .flatten()
        .ok_or_else(|| Flaw::new("one of 301, 302, 303, 307 and 308"));
    let status = check.value(&child(at, "status"), status);
    let pointer = child(at, "location");
    let location = template(check, &pointer, &raw.location, paths);
    if let Some(name) = location.as_ref().and_then(Template::names_host_by) {
        let why = format!(
            "the parameter '{name}' could name another host; write a slash before it, as in https://example.com/{{{name}}}"
        );
        unfit(check, &pointer, &why);
    }
    if raw.location.is_empty() {
        let flaw = Flaw::new("a location such as https://{$host}{$path}{$query}");
        check.value::<()>(&pointer, Err(flaw));
    }
    Action::Redirect(Redirect {
        status: status.unwrap_or_default(),
        location: location.unwrap_or_default(),
    })
}

/// A route with an answer of its own.
pub(super) fn responded(check: &mut Checker<'_>, at: &str, raw: &RawRespond) -> Action {
    Action::Respond(answer(check, at, (raw.status, &raw.headers, &raw.body)))
}

/// An answer that is always the same.
pub(in crate::config) fn answer(
    check: &mut Checker<'_>,
    at: &str,
    (status, headers, body): (u16, &BTreeMap<String, String>, &str),
) -> Respond {
    let status = StatusCode::from_u16(status).unwrap_or_default();
    let bodyless = [
        StatusCode::NO_CONTENT,
        StatusCode::RESET_CONTENT,
        StatusCode::NOT_MODIFIED,
    ];
    if bodyless.contains(&status) && !body.is_empty() {
        check.error(&child(at, "body"), |place| {
            ConfigError::new(
                place,
                format!("an answer with status {} has no body", status.as_u16()),
            )
            .advice("leave the body out, or choose another status")
        });
    }
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let pointer = child(&child(at, "headers"), name);
        let read = fields_of::changeable(name.as_bytes(), false)
            .and_then(|name| Ok((name, fields_of::value(value.as_bytes())?)));
        match read {
            Ok((name, value)) => {
                map.append(name, value);
            }
            Err(denied) => unfit(check, &pointer, denied_words(denied)),
        }
    }
    if !body.is_empty() && !map.contains_key(CONTENT_TYPE) {
        map.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
    }
    Respond {
        status,
        headers: map,
        body: Bytes::from(body.to_owned()),
    }
}

fn denied_words(denied: Denied) -> &'static str {
    match denied {
        Denied::Forbidden => "framing and hop-by-hop headers belong to the gateway",
        Denied::TooLarge => "the value of this header is too long",
        _ => "this is not a header that can be sent (RFC 9110, 5.1 and 5.5)",
    }
}
