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
    if exchange.values().host.is_empty() && redirect.location.uses(Variable::Host) {
        return Err(RequestFault::NoHost.into());
    }
    let mut location = exchange.render(&redirect.location, snapshot);
    if location.starts_with("//") && !redirect.location.names_authority() {
        // The path of the request began with two slashes. As a location that would be another host, one that the
        // client chose (RFC 3986, 4.2: a network-path reference).
        let slashes = location.len() - location.trim_start_matches('/').len();
        location.drain(..slashes - 1);
    }
    let Ok(location) = HeaderValue::try_from(location) else {
        return Err(RequestFault::Target.into());
    };
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
