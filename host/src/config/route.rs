//! From raw to ready: routes.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::entities::{Known, uses};
use super::error::ConfigError;
use super::node::child;
use super::raw::{
    RawMirror, RawRedirect, RawRespond, RawRoute, RawRouteTimeouts, RawSplit, RawUpstream,
    RawValues,
};
use super::ready::{
    Action, Forward, ForwardPath, Mirror, Redirect, Respond, Route, Service, ServiceTimeouts, Split,
};
use super::resilience;
use super::validate::{Checker, within_schema};
use super::value::{self, Flaw};
use crate::context::headers as fields_of;
use crate::router::condition::{Conditions, FieldCondition, ValuePattern};
use crate::router::pattern::{HostPattern, PathPattern, PatternError};
use crate::router::template::Template;

/// What routes refer to.
struct Targets<'a> {
    services: (&'a Known<'a>, &'a [Service]),
    upstreams: &'a Known<'a>,
}

pub(super) fn routes(
    check: &mut Checker<'_>,
    raw: &[RawRoute],
    (services, upstreams): (&[Service], &[RawUpstream]),
) -> Vec<Route> {
    check.names("/routes", raw.iter().map(|route| &*route.name));
    let names = services.iter().map(|service| &*service.name);
    let known = Known::new(check, "service", "/services", names);
    let names = upstreams.iter().map(|upstream| &*upstream.name);
    let upstreams = Known::new(check, "upstream", "/upstreams", names);
    let known = Targets {
        services: (&known, services),
        upstreams: &upstreams,
    };
    let mut out = Vec::new();
    for (i, route) in raw.iter().enumerate() {
        let at = format!("/routes/{i}");
        let paths = parsed(check, &child(&at, "paths"), &route.paths, |text| {
            PathPattern::parse(text).map_err(|e| chain(&e))
        });
        out.push(Route {
            name: route.name.as_str().into(),
            action: action(check, &at, route, &known, &paths),
            hosts: parsed(check, &child(&at, "hosts"), &route.hosts, |text| {
                HostPattern::parse(text).map_err(|e| chain(&e))
            }),
            methods: check.each(&child(&at, "methods"), &route.methods, value::method),
            conditions: conditions(check, &at, route),
            priority: i32::try_from(route.priority).unwrap_or(0),
            regex_priority: i32::try_from(route.regex_priority).unwrap_or(0),
            body_bytes: route
                .body_bytes
                .as_ref()
                .and_then(|size| check.size(&child(&at, "body_bytes"), size)),
            plugins: uses(check, &child(&at, "plugins"), &route.plugins),
            paths,
        });
    }
    out
}

/// What the route does, and that it does one thing.
fn action(
    check: &mut Checker<'_>,
    at: &str,
    raw: &RawRoute,
    known: &Targets<'_>,
    paths: &[PathPattern],
) -> Action {
    let named = [
        ("service", raw.service.is_some()),
        ("redirect", raw.redirect.is_some()),
        ("respond", raw.respond.is_some()),
    ];
    let mut named = named.iter().filter(|(_, is)| *is).map(|(key, _)| *key);
    let (first, second) = (named.next(), named.next());
    if first.is_none() && !check.broken.covers(&child(at, "service")) {
        check.error(at, |place| {
            ConfigError::new(place, "the route does nothing with its requests")
                .expected("one of service, redirect and respond")
        });
    }
    if let (Some(first), Some(second)) = (first, second) {
        check.error(&child(at, second), |place| {
            ConfigError::new(place, format!("the route has a {first} already"))
                .advice("keep one of the two, or make two routes")
        });
    }
    if let Some(redirect) = &raw.redirect {
        forwards_nothing(check, at, raw, "redirect");
        return redirected(check, &child(at, "redirect"), redirect, paths);
    }
    if let Some(respond) = &raw.respond {
        forwards_nothing(check, at, raw, "respond");
        return responded(check, &child(at, "respond"), respond);
    }
    Action::Forward(forward(check, at, raw, known, paths))
}

fn forward(
    check: &mut Checker<'_>,
    at: &str,
    raw: &RawRoute,
    known: &Targets<'_>,
    paths: &[PathPattern],
) -> Forward {
    let (names, services) = known.services;
    let service = raw
        .service
        .as_deref()
        .map_or(0, |name| names.index(check, &child(at, "service"), name));
    let entry = services.get(service);
    let retries = raw.retries.as_ref().map(|raw| {
        let retries = resilience::retries(check, &child(at, "retries"), raw);
        Arc::new(retries)
    });
    Forward {
        service,
        path: forward_path(check, at, raw, paths),
        preserve_host: raw.preserve_host,
        upgrades: upgrades(check, &child(at, "upgrades"), &raw.upgrades),
        timeouts: timeouts(
            check,
            &child(at, "timeouts"),
            raw.timeouts.as_ref(),
            entry.map(|service| service.timeouts),
        ),
        retries: retries.or_else(|| entry.and_then(|service| service.retries.clone())),
        concurrency: resilience::concurrency(
            check,
            &child(at, "concurrency"),
            raw.concurrency.as_ref(),
        ),
        split: split(check, &child(at, "split"), &raw.split, known.upstreams),
        mirror: raw
            .mirror
            .as_ref()
            .map(|raw| mirror(check, &child(at, "mirror"), raw, known.upstreams)),
    }
}

/// Upstreams that share the requests of a route.
fn split(check: &mut Checker<'_>, list: &str, raw: &[RawSplit], known: &Known<'_>) -> Vec<Split> {
    let mut seen: HashMap<&str, String> = HashMap::new();
    let mut out = Vec::new();
    for (i, part) in raw.iter().enumerate() {
        let pointer = child(&child(list, &i.to_string()), "upstream");
        if let Some(first) = seen.get(&*part.upstream) {
            let what = "this upstream has a share already in";
            check.twice(&pointer, what, &first.clone(), "make one share of the two");
        }
        out.push(Split {
            upstream: known.index(check, &pointer, &part.upstream),
            weight: u32::try_from(part.weight).unwrap_or(0),
        });
        seen.insert(&part.upstream, pointer);
    }
    if !raw.is_empty() && raw.iter().all(|part| part.weight == 0) {
        check.error(list, |place| {
            ConfigError::new(place, "no upstream has a share of the requests")
                .advice("give one of them a weight above 0")
        });
    }
    out
}

fn mirror(check: &mut Checker<'_>, at: &str, raw: &RawMirror, known: &Known<'_>) -> Mirror {
    Mirror {
        upstream: known.index(check, &child(at, "upstream"), &raw.upstream),
        percent: resilience::percent(raw.percent),
        requests: within_schema(raw.requests),
        body_bytes: check
            .size(&child(at, "body_bytes"), &raw.body_bytes)
            .unwrap_or_default(),
    }
}

/// Refuses what only means something where a request is forwarded.
fn forwards_nothing(check: &mut Checker<'_>, at: &str, raw: &RawRoute, action: &str) {
    let keys = [
        ("strip_path", raw.strip_path),
        ("rewrite_path", raw.rewrite_path.is_some()),
        ("preserve_host", raw.preserve_host),
        ("timeouts", raw.timeouts.is_some()),
        ("retries", raw.retries.is_some()),
        ("concurrency", raw.concurrency.is_some()),
        ("split", !raw.split.is_empty()),
        ("mirror", raw.mirror.is_some()),
    ];
    for (key, _) in keys.iter().filter(|(_, is)| *is) {
        check.error(&child(at, key), |place| {
            ConfigError::new(place, format!("a route with {action} forwards nothing"))
                .advice("leave this key out")
        });
    }
}

fn forward_path(
    check: &mut Checker<'_>,
    at: &str,
    raw: &RawRoute,
    paths: &[PathPattern],
) -> ForwardPath {
    let pointer = child(at, "rewrite_path");
    let Some(text) = &raw.rewrite_path else {
        return if raw.strip_path {
            ForwardPath::Strip
        } else {
            ForwardPath::Keep
        };
    };
    if raw.strip_path {
        check.error(&pointer, |place| {
            ConfigError::new(
                place,
                "strip_path and rewrite_path both say what is forwarded",
            )
            .advice("keep rewrite_path; {$rest} is what strip_path would leave")
        });
    }
    let Some(path) = template(check, &pointer, text, paths) else {
        return ForwardPath::Keep;
    };
    if !path.is_path() {
        let flaw = Flaw::new("a path such as /v2/users/{id}{$rest}; the query stays as it is");
        check.value::<()>(&pointer, Err(flaw));
    }
    ForwardPath::Rewrite(path)
}

/// Reads a template whose parameters every path of the route has.
fn template(
    check: &mut Checker<'_>,
    pointer: &str,
    text: &str,
    paths: &[PathPattern],
) -> Option<Template> {
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(why) => {
            unfit(check, pointer, &why.to_string());
            return None;
        }
    };
    for name in template.parameters() {
        let without = paths.iter().find(|path| !path.parameters().contains(&name));
        if let Some(path) = without {
            unfit(
                check,
                pointer,
                &format!("the path '{path}' has no parameter '{name}'"),
            );
        }
    }
    Some(template)
}

fn timeouts(
    check: &mut Checker<'_>,
    at: &str,
    raw: Option<&RawRouteTimeouts>,
    service: Option<ServiceTimeouts>,
) -> ServiceTimeouts {
    let second = std::time::Duration::from_secs(1);
    let service = service.unwrap_or(ServiceTimeouts {
        connect: second,
        response: second,
        idle: second,
        tunnel: second,
        total: None,
    });
    let Some(raw) = raw else {
        return service;
    };
    let mut own =
        |key, raw: Option<&_>, other| raw.map_or(other, |raw| check.duration(&child(at, key), raw));
    ServiceTimeouts {
        connect: own("connect", raw.connect.as_ref(), service.connect),
        response: own("response", raw.response.as_ref(), service.response),
        idle: own("idle", raw.idle.as_ref(), service.idle),
        tunnel: own("tunnel", raw.tunnel.as_ref(), service.tunnel),
        total: match &raw.total {
            Some(total) => Some(check.duration(&child(at, "total"), total)),
            None => service.total,
        },
    }
}

/// Protocols a connection may change over to.
fn upgrades(check: &mut Checker<'_>, list: &str, raw: &[String]) -> Vec<Box<str>> {
    let read = |text: &str| {
        let flaw = || Flaw::new("the name of a protocol such as websocket");
        // The version of another HTTP is not for a client to choose behind the gateway's back (RFC 9113, 3.1).
        let http =
            text.eq_ignore_ascii_case("h2c") || text.to_ascii_lowercase().starts_with("http");
        // A name, and perhaps a version (RFC 9110, 7.8).
        for part in text.splitn(2, '/') {
            value::token(part).map_err(|_| flaw())?;
        }
        if http {
            return Err(flaw());
        }
        Ok(text.to_ascii_lowercase().into_boxed_str())
    };
    check.each(list, raw, read)
}

fn redirected(
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

fn responded(check: &mut Checker<'_>, at: &str, raw: &RawRespond) -> Action {
    Action::Respond(answer(check, at, (raw.status, &raw.headers, &raw.body)))
}

/// An answer that is always the same.
pub(super) fn answer(
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

fn denied_words(denied: crate::context::Denied) -> &'static str {
    use crate::context::Denied;
    match denied {
        Denied::Forbidden => "framing and hop-by-hop headers belong to the gateway",
        Denied::TooLarge => "the value of this header is too long",
        _ => "this is not a header that can be sent (RFC 9110, 5.1 and 5.5)",
    }
}

fn conditions(check: &mut Checker<'_>, at: &str, raw: &RawRoute) -> Conditions {
    let addresses = child(at, "addresses");
    Conditions {
        headers: fields(
            check,
            &child(at, "headers"),
            &raw.headers,
            FieldCondition::header,
        ),
        query: fields(check, &child(at, "query"), &raw.query, |name, values| {
            Ok(FieldCondition::new(name, values))
        }),
        cookies: fields(
            check,
            &child(at, "cookies"),
            &raw.cookies,
            |name, values| Ok(FieldCondition::new(name, values)),
        ),
        addresses: check.each(&addresses, &raw.addresses, value::network),
        snis: parsed(check, &child(at, "snis"), &raw.snis, |text| {
            HostPattern::parse(text).map_err(|e| chain(&e))
        }),
    }
}

/// Conditions on one kind of fields.
fn fields(
    check: &mut Checker<'_>,
    at: &str,
    raw: &BTreeMap<String, RawValues>,
    make: impl Fn(&str, Vec<ValuePattern>) -> Result<FieldCondition, PatternError>,
) -> Vec<FieldCondition> {
    let mut out = Vec::new();
    let mut seen: HashMap<String, String> = HashMap::new();
    for (name, raw) in raw {
        let pointer = child(at, name);
        let single = matches!(raw, RawValues::One(_));
        let mut values = Vec::new();
        for (i, text) in raw.texts().iter().enumerate() {
            let place = if single {
                pointer.clone()
            } else {
                child(&pointer, &i.to_string())
            };
            if check.is_filled(&place) {
                values.push(ValuePattern::secret(text));
                continue;
            }
            match ValuePattern::parse(text) {
                Ok(value) => values.push(value),
                Err(why) => unfit(check, &place, &chain(&why)),
            }
        }
        match make(name, values) {
            Ok(condition) => out.push(condition),
            Err(why) => unfit(check, &pointer, &chain(&why)),
        }
        // Only names of headers are the same in upper and lower case.
        if at.ends_with("/headers")
            && let Some(first) = seen.insert(name.to_ascii_lowercase(), pointer.clone())
        {
            check.twice(
                &pointer,
                "this header is named already by",
                &first,
                "keep one of the two",
            );
        }
    }
    out
}

/// What another room reads, and whose own sentence says what is wrong with it.
fn parsed<T>(
    check: &mut Checker<'_>,
    list: &str,
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let mut out = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        match parse(text) {
            Ok(pattern) => out.push(pattern),
            Err(why) => unfit(check, &child(list, &i.to_string()), &why),
        }
    }
    out
}

/// Notes what another room says of a value. It quotes the value, which must not happen to a filled-in one.
fn unfit(check: &mut Checker<'_>, pointer: &str, why: &str) {
    let hidden = check.is_filled(pointer).then(|| check.found(pointer));
    check.error(pointer, |place| match hidden {
        None => ConfigError::new(place, why),
        Some(found) => ConfigError::new(place, "this value does not fit").found_if(found),
    });
}

/// An error with its causes in one sentence.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(", {error}"));
        cause = error.source();
    }
    text
}
