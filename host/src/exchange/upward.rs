//! The request as the upstream gets it.

use http::header::{CONNECTION, HOST, TE, TRAILER, TRANSFER_ENCODING};
use http::uri::{Parts, PathAndQuery};
use http::{HeaderMap, HeaderValue, Request, Uri, Version};

use super::Exchange;
use super::ingress::Framing;
use crate::snapshot::Keep;
use crate::snapshot::leads::ForwardedPath;
use crate::upstream::body::RequestBody;

const CHUNKED: HeaderValue = HeaderValue::from_static("chunked");

/// Writes the request for the upstream.
///
/// # Errors
/// The target is not one; a fault of this gateway, because every part of it was checked before.
pub(super) fn request(
    exchange: &Exchange,
    path: &ForwardedPath,
    keep: Keep,
    framing: Framing,
    body: RequestBody,
) -> Result<Request<RequestBody>, http::Error> {
    let uri = target(exchange, path)?;
    exchange.context.borrow_mut().forwarded = true;
    let context = &mut *exchange.context.borrow_mut();
    let mut headers: HeaderMap = if keep.request {
        context.request_headers.clone()
    } else {
        std::mem::take(&mut context.request_headers)
    };
    framed(&mut headers, framing, exchange.said.host.is_some());
    let mut request = Request::new(body);
    *request.method_mut() = context.method.clone();
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Says what every message of HTTP/1.1 has to say.
pub(super) fn framed(headers: &mut HeaderMap, framing: Framing, has_host: bool) {
    if framing == Framing::Chunked {
        // Without it hyper would take a GET with a body of unknown length for one without a body.
        headers.insert(TRANSFER_ENCODING, CHUNKED);
    }
    if !has_host {
        // Only HTTP/1.0 gets here without one; the upstream is spoken to in HTTP/1.1, which needs it.
        headers.insert(HOST, HeaderValue::from_static(""));
    }
}

/// Announces the trailers of a request, and says that those of its answer are welcome if the client says so.
pub(super) fn trailers(
    exchange: &Exchange,
    request: &mut Request<RequestBody>,
    announced: Option<HeaderValue>,
) {
    const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
    let headers = request.headers_mut();
    if let Some(names) = announced
        && headers.contains_key(TRANSFER_ENCODING)
    {
        headers.insert(TRAILER, names);
    }
    if exchange.context.borrow().bodies.takes_trailers {
        headers.insert(TE, TRAILERS);
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
}

/// The origin form of the target: path in normal form, and the query.
fn target(exchange: &Exchange, path: &ForwardedPath) -> Result<Uri, http::Error> {
    let context = exchange.context.borrow();
    let whole = match (context.unchanged_target(), path) {
        // The usual case: what the client sent is already what goes out, shared and not copied.
        (Some(uri), ForwardedPath::From(0)) => uri.path_and_query().cloned(),
        _ => None,
    };
    let path_and_query = match (whole, path) {
        (Some(whole), _) => whole,
        (None, ForwardedPath::From(start)) => {
            joined(context.path().get(*start..).unwrap_or("/"), context.query())?
        }
        (None, ForwardedPath::Other(path)) => joined(path, context.query())?,
    };
    let mut parts = Parts::default();
    parts.path_and_query = Some(path_and_query);
    Ok(Uri::from_parts(parts)?)
}

pub(super) fn joined(path: &str, query: &str) -> Result<PathAndQuery, http::Error> {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let text = if query.is_empty() {
        format!("{slash}{path}")
    } else {
        format!("{slash}{path}?{query}")
    };
    Ok(PathAndQuery::from_maybe_shared(text)?)
}
