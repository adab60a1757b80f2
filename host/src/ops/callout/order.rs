//! From what a plugin asks for to a request that may be sent.

use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Uri};

use super::Destination;
use crate::context::Denied;
use crate::context::headers::{append, changeable, value};
use crate::ops::services::Services;

/// The limit on time where the plugin names none.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The limit on the answer's body where the plugin names none.
const BODY: u64 = 1 << 20;
/// The largest limit a plugin may ask for.
const MOST_BODY: u64 = 64 << 20;

/// What a plugin asks for.
#[derive(Debug, Default)]
pub struct Ask<'a> {
    /// Name of the service; empty: the URL says where.
    pub service: &'a [u8],
    /// Path and query, or a whole URL.
    pub url: &'a [u8],
    /// Empty: `GET`.
    pub method: &'a [u8],
    /// Lines of the head.
    pub headers: &'a [(&'a [u8], &'a [u8])],
    /// The body.
    pub body: &'a [u8],
    /// 0: the default.
    pub timeout_ms: u32,
    /// 0: the default.
    pub max_body: u64,
}

/// A request that may be sent.
#[derive(Debug)]
pub struct Order {
    pub(super) to: Destination,
    pub(super) request: Request<Bytes>,
    pub(super) limit: Duration,
    pub(super) max_body: usize,
}

/// Why a request is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is malformed.
    #[error("the callout is malformed")]
    Malformed,
    /// A service of this name does not exist.
    #[error("there is no such service")]
    NoService,
    /// It is not on the allow list.
    #[error("the address of the callout is not on the list callouts.allow of the configuration")]
    NotAllowed,
    /// A header belongs to the gateway.
    #[error("a header of the callout belongs to the gateway")]
    Header,
    /// Too long.
    #[error("the callout has too many or too long headers")]
    TooLarge,
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Forbidden => Self::Header,
            Denied::TooLarge => Self::TooLarge,
            _ => Self::Malformed,
        }
    }
}

impl Order {
    /// Where it goes, for the log; without path and query, which may hold secrets.
    pub(super) fn shown(&self) -> String {
        let host = self.request.headers().get(HOST);
        let host = host.and_then(|host| host.to_str().ok());
        host.unwrap_or("a service").to_owned()
    }
}

/// Reads what a plugin asks for.
///
/// # Errors
/// What is wrong with it, or that it may not.
pub fn order(ask: &Ask<'_>, services: &Services) -> Result<Order, Refused> {
    let (to, host, path) = destination(ask, services)?;
    let method = match ask.method {
        b"" => Method::GET,
        other => Method::from_bytes(other).map_err(|_| Refused::Malformed)?,
    };
    if method == Method::CONNECT {
        return Err(Refused::Malformed);
    }
    let mut request = Request::new(Bytes::copy_from_slice(ask.body));
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from(path);
    for (name, text) in ask.headers {
        let (name, text) = (changeable(name, true)?, value(text)?);
        append(request.headers_mut(), name, text)?;
    }
    // That of a service is the address of the target, which is known when one takes the request.
    if let Some(host) = host {
        request.headers_mut().insert(HOST, host);
    }
    let limit = match ask.timeout_ms {
        0 => TIMEOUT,
        ms => Duration::from_millis(ms.into()),
    };
    let max_body = match ask.max_body {
        0 => BODY,
        bytes => bytes.min(MOST_BODY),
    };
    Ok(Order {
        to,
        request,
        limit,
        max_body: usize::try_from(max_body).unwrap_or(usize::MAX),
    })
}

/// Where it goes, what `Host` says if the plugin decides it, and the target of the request.
type Read = (Destination, Option<HeaderValue>, PathAndQuery);

fn destination(ask: &Ask<'_>, services: &Services) -> Result<Read, Refused> {
    if ask.service.is_empty() {
        return absolute(ask.url, services);
    }
    let name = std::str::from_utf8(ask.service).map_err(|_| Refused::Malformed)?;
    let called = services.service(name).ok_or(Refused::NoService)?;
    let path = match ask.url {
        b"" => PathAndQuery::from_static("/"),
        [b'/', ..] => PathAndQuery::try_from(ask.url).map_err(|_| Refused::Malformed)?,
        _ => return Err(Refused::Malformed),
    };
    Ok((Destination::Service(called), None, path))
}

fn absolute(url: &[u8], services: &Services) -> Result<Read, Refused> {
    let uri = Uri::try_from(url).map_err(|_| Refused::Malformed)?;
    let tls = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(Refused::Malformed),
    };
    let authority = uri.authority().ok_or(Refused::Malformed)?;
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return Err(Refused::Malformed);
    }
    let port = match authority.port() {
        None if tls => 443,
        None => 80,
        Some(port) => port.as_u16(),
    };
    if port == 0 {
        return Err(Refused::Malformed);
    }
    if !services.admits(tls, authority.host(), port) {
        return Err(Refused::NotAllowed);
    }
    let host = HeaderValue::try_from(authority.as_str()).map_err(|_| Refused::Malformed)?;
    let path = uri.path_and_query().cloned();
    let to = Destination::Host {
        host: authority.host().to_owned(),
        port,
        tls,
        resolver: services.resolver.clone(),
    };
    let path = path.unwrap_or(PathAndQuery::from_static("/"));
    Ok((to, Some(host), path))
}
