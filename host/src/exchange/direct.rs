//! Answers that a route gives itself: redirects, and answers that are always the same.

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue};

use super::Exchange;
use crate::context::{Answer, ResponseHead};
use crate::respond::failure::{Failure, RequestFault};
use crate::router::template::Variable;
use crate::snapshot::{Redirect, Respond, Snapshot};

/// Sends the client elsewhere.
///
/// # Errors
/// The location needs a host and the request has none.
pub(super) fn redirect(
    exchange: &Exchange,
    snapshot: &Snapshot,
    redirect: &Redirect,
) -> Result<Answer, Failure> {
    let host = exchange.values().host;
    let location = location(redirect, host, || {
        exchange.render(&redirect.location, snapshot)
    })?;
    let mut headers = HeaderMap::with_capacity(1);
    headers.insert(LOCATION, location);
    Ok(Answer {
        head: ResponseHead {
            status: redirect.status,
            headers,
        },
        body: Bytes::new(),
    })
}

/// Where a redirect leads, once its template is filled in.
///
/// # Errors
/// The location needs a host and the request has none.
pub(crate) fn location(
    redirect: &Redirect,
    host: &str,
    render: impl FnOnce() -> String,
) -> Result<HeaderValue, RequestFault> {
    if host.is_empty() && redirect.location.uses(Variable::Host) {
        return Err(RequestFault::NoHost);
    }
    let mut location = render();
    if location.starts_with("//") && !redirect.location.names_authority() {
        // The path of the request began with two slashes. As a location that would be another host, one that the
        // client chose (RFC 3986, 4.2: a network-path reference).
        let slashes = location.len() - location.trim_start_matches('/').len();
        location.drain(..slashes - 1);
    }
    HeaderValue::try_from(location).map_err(|_| RequestFault::Target)
}

/// Gives the answer of the route. The body is copied, so that workers do not share the count of its references.
pub(super) fn respond(respond: &Respond) -> Answer {
    Answer {
        head: ResponseHead {
            status: respond.status,
            headers: respond.headers.clone(),
        },
        body: Bytes::copy_from_slice(&respond.body),
    }
}
