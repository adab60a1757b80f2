//! What can go wrong with an exchange, by the side that failed.

use std::io;
use std::time::Duration;

use http::HeaderValue;
use thiserror::Error;

use crate::admission::refusal::Refusal;
use crate::endpoint::Endpoint;
use crate::panics::Panicked;
use crate::tls::reason;

use super::plugin::PluginFault;
use crate::context::Lane;
use crate::router::path::PathError;

/// Why an exchange gets an answer of the gateway.
#[derive(Debug, Error)]
pub enum Failure {
    /// The client's side.
    #[error(transparent)]
    Request(#[from] RequestFault),
    /// Nothing is configured for this host and path.
    #[error("no route matches")]
    NoRoute,
    /// Only the method differs.
    #[error("the route does not serve this method")]
    MethodNotAllowed {
        /// The methods it does serve, ready for `Allow`.
        allow: HeaderValue,
    },
    /// The gateway's side: a plugin that the route names is not there.
    #[error("the route cannot be served: {0}")]
    Unavailable(String),
    /// A plugin's side.
    #[error("{0}")]
    Plugin(PluginFault),
    /// A plugin's side: it wants more of a body before it passes any of it on than it may keep.
    #[error("plugin {plugin} keeps more than {limit} bytes of the body")]
    KeepsTooMuch {
        /// Id and version, as `name@version`.
        plugin: String,
        /// Whose body.
        lane: Lane,
        /// How much it may keep.
        limit: u64,
    },
    /// The gateway's side: its own code panicked.
    #[error("the exchange {0}")]
    Panicked(Panicked),
    /// Nobody's side: there is more to do than is admitted at once.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The upstream's side.
    #[error(transparent)]
    Upstream(#[from] UpstreamFault),
}

/// What is wrong with a request, with the section that says so.
#[derive(Debug, Error)]
pub enum RequestFault {
    /// RFC 9112, 3.2.
    #[error("the request needs exactly one Host header field")]
    HostCount,
    /// RFC 9110, 7.2; RFC 3986, 3.2.2.
    #[error("the host is malformed")]
    HostSyntax,
    /// RFC 9113, 8.3.1.
    #[error("the Host header field must say the same as :authority")]
    HostDiffers,
    /// RFC 9110, 7.4; RFC 9113, 8.3.1.
    #[error("the scheme of the request target must be that of the connection")]
    Scheme,
    /// RFC 9113, 8.2.1: HTTP/1.1 would take the white space off.
    #[error("a header field begins or ends with white space")]
    FieldSyntax,
    /// RFC 8441, 4.
    #[error(":protocol must name one protocol")]
    Protocol,
    /// RFC 9110, 8.6.
    #[error("Content-Length must be one number")]
    ContentLength,
    /// RFC 6585, 5.
    #[error("the request has more than {limit} header fields")]
    TooManyFields {
        /// `limits.headers`
        limit: usize,
    },
    /// RFC 3875, 4.1.18: servers that make variables of headers read `_` and `-` as one.
    #[error("a header field has an underscore in its name, which some servers read as a hyphen")]
    Underscore,
    /// RFC 9110, 15.5.15.
    #[error("the request target is longer than {limit} bytes")]
    TargetTooLong {
        /// `limits.uri_bytes`
        limit: usize,
    },
    /// RFC 9112, 3.2: only the origin form, the absolute form and `OPTIONS *` are served.
    #[error("the request target is malformed")]
    Target,
    /// RFC 3986, 6.2.2, and what the normal form refuses.
    #[error("the path is refused: {0}")]
    Path(#[from] PathError),
    /// What the route makes of the request could be read in more than one way.
    #[error(
        "the path cannot be rewritten: a piece of it would become a dot segment or an empty segment"
    )]
    Rewrite,
    /// A redirect needs a host, and an HTTP/1.0 request need not have one.
    #[error("the request needs a Host header field, for it is to be redirected")]
    NoHost,
    /// RFC 9112, 6.1: anything but one final `chunked` is read differently by different parsers.
    #[error("Transfer-Encoding must be chunked and nothing else")]
    TransferEncoding,
    /// RFC 9110, 10.1.1.
    #[error("the only expectation this gateway meets is 100-continue")]
    Expectation,
    /// RFC 9110, 9.3.6.
    #[error("CONNECT is not supported")]
    Connect,
    /// RFC 9110, 9.3.8.
    #[error("a TRACE request must not have a body")]
    TraceBody,
    /// RFC 9110, 7.6.2.
    #[error("Max-Forwards must be one number")]
    MaxForwards,
    /// RFC 9110, 7.6.2 and 9.3.8: what arrived might hold what only this gateway was to see.
    #[error(
        "Max-Forwards ends this TRACE here, and this gateway sends nothing back of what it gets"
    )]
    TraceEnds,
    /// RFC 9110, 15.5.20.
    #[error("this connection was opened for another host; open one for this host")]
    Misdirected,
    /// RFC 6455, 4.2.1.
    #[error("the WebSocket handshake is malformed: {0}")]
    WebSocket(&'static str),
    /// RFC 6455, 4.4.
    #[error("the version of WebSocket must be 13, in Sec-WebSocket-Version, once")]
    WebSocketVersion,
    /// The route does not pass it on.
    #[error("connections do not change over to this protocol here")]
    NoUpgrade,
    /// The limit of the route.
    #[error("the request body is larger than {limit} bytes")]
    BodyTooLarge {
        /// The limit of the route.
        limit: u64,
    },
    /// RFC 9112, 7.1.
    #[error("the request body is malformed")]
    Body,
    /// RFC 9110, 15.5.9.
    #[error("the request body came too slowly")]
    BodySlow,
}

/// What went wrong with the upstream.
#[derive(Debug, Error)]
pub enum UpstreamFault {
    /// Its names lead nowhere, or are not looked up yet.
    #[error(
        "no target of upstream {upstream} is known, because none of its names could be looked up yet; see names in /status of the admin listener"
    )]
    NoTargets {
        /// The upstream.
        upstream: std::sync::Arc<str>,
    },
    /// No target took the connection.
    #[error("cannot connect to {target}, the last of {tried} targets tried: {source}")]
    Connect {
        /// The target tried last.
        target: Endpoint,
        /// How many were tried.
        tried: usize,
        /// What the system said.
        source: io::Error,
    },
    /// This system has no socket to give.
    #[error(
        "there is no socket for a connection to {target}: {source}; raise the limit of open files (ulimit -n, or LimitNOFILE of systemd), or lower limits.connections"
    )]
    NoSocket {
        /// The target tried last.
        target: Endpoint,
        /// What the system said.
        source: io::Error,
    },
    /// It connected or answered too late.
    #[error("target {target} did not {what} within {limit:?}")]
    TimedOut {
        /// The target.
        target: Endpoint,
        /// `connect` or `answer`.
        what: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// All of the exchange with it took too long, retries included.
    #[error("the exchange with the upstream took longer than timeouts.total")]
    Overdue {
        /// Whether that is its own doing: it had most of the time, and whatever it was to get.
        its_own: bool,
    },
    /// It closed or reset the connection before the head of its answer.
    #[error(
        "target {target} ended the connection before it answered: {}",
        told(source)
    )]
    Died {
        /// The target.
        target: Endpoint,
        /// What hyper said.
        source: hyper::Error,
    },
    /// Its answer is not HTTP/1.1, or could be read in more than one way.
    #[error("target {target} gave a malformed answer: {text}")]
    Malformed {
        /// The target.
        target: Endpoint,
        /// What is wrong with it.
        text: String,
    },
    /// It is spoken to in HTTP/2, in which this gateway asks nobody to change over to another protocol.
    #[error(
        "target {target} is spoken to in HTTP/2 and cannot be asked to change over to another protocol; set protocol of the upstream to http/1.1"
    )]
    NoUpgrade {
        /// The target.
        target: Endpoint,
    },
    /// The request could not be written as HTTP; a fault of this gateway.
    #[error("the request to {target} cannot be written: {text}")]
    Unwritable {
        /// The target.
        target: Endpoint,
        /// What is wrong with it.
        text: String,
    },
}

/// An error of hyper with its cause, which is what says something.
fn told(error: &hyper::Error) -> String {
    use std::error::Error as _;
    let Some(cause) = error.source() else {
        return error.to_string();
    };
    let tls = cause
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(tls) => reason::of(tls),
        None => format!("{error}: {cause}"),
    }
}
