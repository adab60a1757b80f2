//! Where a route leads a request: the path it forwards, the location it redirects to. Pure, for the exchange that serves
//! and for control that explains.

use http::HeaderValue;

use super::{ForwardPath, Redirect};
use crate::respond::failure::RequestFault;
use crate::router::path;
use crate::router::template::{Template, Variable};

/// Which path the upstream sees, once it is sure that it can be forwarded.
#[derive(Debug)]
pub enum ForwardedPath {
    /// The one that was matched, from this byte on.
    From(usize),
    /// Another one.
    Other(String),
}

/// Finds the path to forward for a request with this path, of which the pattern took `prefix_len` bytes.
///
/// # Errors
/// It would not be in normal form: a piece of the request became a dot segment or an empty segment, and servers read
/// those in different ways.
pub fn path(
    forward: &ForwardPath,
    (matched, prefix_len): (&str, usize),
    merge_slashes: bool,
    render: impl FnOnce(&Template) -> String,
) -> Result<ForwardedPath, RequestFault> {
    let path = match forward {
        ForwardPath::Keep => return Ok(ForwardedPath::From(0)),
        ForwardPath::Strip => match matched.get(prefix_len..).unwrap_or("") {
            // A regular expression may end inside a segment: of `/a..` it may leave `..`, which was a name before.
            rest if !rest.is_empty() && !rest.starts_with('/') => format!("/{rest}"),
            _ => return Ok(ForwardedPath::From(prefix_len)),
        },
        ForwardPath::Rewrite(template) => render(template),
    };
    rewritten(path, merge_slashes).map(ForwardedPath::Other)
}

/// The path that was made of another one.
///
/// # Errors
/// It is not in normal form.
fn rewritten(mut path: String, merge_slashes: bool) -> Result<String, RequestFault> {
    if path.is_empty() {
        path.push('/');
    }
    match path::normalize(&path, merge_slashes) {
        Ok(normal) if *normal == path => Ok(path),
        _ => Err(RequestFault::Rewrite),
    }
}

/// Where a redirect leads, once its template is filled in.
///
/// # Errors
/// The location needs a host and the request has none.
pub fn location(
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
