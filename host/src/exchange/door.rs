//! What [`crate::door`] opens of this room.

use http::HeaderMap;
use http::request::Parts;
use http::uri::PathAndQuery;
use ipnet::IpNet;

use super::forwarding::PeerValues;
use super::ingress::Framing;
use super::{begin, outgoing, upward};
use crate::context::headers::Survey;
use crate::respond::failure::RequestFault;

/// Makes of a head of HTTP/1.1 what is forwarded where no route and no plugin changes anything.
///
/// # Errors
/// Why it is refused.
pub fn forwarded_head(
    head: &mut Parts,
    merge_slashes: bool,
    (peer, trusted): (&PeerValues, &[IpNet]),
) -> Result<Framing, RequestFault> {
    begin::forwarded(head, merge_slashes, (peer, trusted))
}

/// The target that is forwarded for a path in normal form and a query.
///
/// # Errors
/// They are none.
pub fn forwarded_target(path: &str, query: &str) -> Result<PathAndQuery, http::Error> {
    upward::joined(path, query)
}

/// Makes of the head of an upstream's answer what goes on to the client where no plugin changes anything.
pub fn relayed_head(headers: &mut HeaderMap) {
    let survey = Survey::of(headers);
    outgoing::reread(headers, survey);
}
