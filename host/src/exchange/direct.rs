//! Answers that a route gives itself: redirects, and answers that are always the same.

use bytes::Bytes;
use http::HeaderMap;
use http::header::LOCATION;

use super::Exchange;
use crate::context::{Answer, ResponseHead};
use crate::respond::failure::Failure;
use crate::snapshot::leads::location;
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
    let context = exchange.context.borrow();
    let host = exchange.values(&context).host;
    let location = location(redirect, host, || {
        exchange.render(&context, &redirect.location, snapshot)
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
