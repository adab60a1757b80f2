//! HTTP callouts of plugins.
//!
//! A callout goes to a service of the configuration or to an address on its allow list, over a connection of the thread
//! that waits for it. All of it has one limit on time. Redirects are not followed: where they lead was never allowed.
//! Dropping a callout closes its connection, for the answer that is still on its way would be read as the next one's.

mod connection;
mod order;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::HOST;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use swapgate_abi as abi;

pub use order::{Ask, Order, Refused, order};

use super::directory::Called;
use super::resolve::Resolver;
use super::{Begin, Data, Done, HttpAnswer};
use crate::context::headers::Survey;
use crate::exchange::ingress::strip_hop_by_hop;
use crate::upstream::send::framing_flaw;
use connection::Connection;

/// How long a connect to an address may take that is no target of a service.
const CONNECT: Duration = Duration::from_secs(5);

/// Where a callout goes.
#[derive(Debug)]
pub enum Destination {
    /// To a target of a service.
    Service(Arc<Called>),
    /// To a host on the allow list.
    Host {
        /// As it stands in the URL.
        host: String,
        /// Its port.
        port: u16,
        /// Finds its addresses.
        resolver: Resolver,
    },
}

/// Why a callout has no answer.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("it took longer than {0:?}")]
    Late(Duration),
    #[error("its answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the host name was not found")]
    NoName(i32),
    #[error("cannot connect to {0}")]
    Connect(SocketAddr, #[source] std::io::Error),
    #[error("a connect to {0} took too long")]
    ConnectLate(SocketAddr),
    #[error("{0} broke the connection off")]
    Died(SocketAddr, #[source] hyper::Error),
    #[error("the answer of {0} is malformed: {1}")]
    Malformed(SocketAddr, &'static str),
    #[error("there is nobody to call")]
    Nobody,
}

impl Failed {
    /// What the plugin is told.
    fn code(&self) -> i32 {
        match self {
            Self::Late(_) | Self::NoName(abi::SG_E_TIMEOUT) => abi::SG_E_TIMEOUT,
            Self::TooLarge(_) => abi::SG_E_TOO_LARGE,
            Self::NoName(_)
            | Self::Connect(..)
            | Self::ConnectLate(_)
            | Self::Died(..)
            | Self::Malformed(..)
            | Self::Nobody => abi::SG_E_UNAVAILABLE,
        }
    }
}

/// The operation of a callout; `plugin` names whose it is in the log.
#[must_use]
pub fn begin(order: Order, plugin: String) -> Begin {
    Box::new(move || {
        Box::pin(async move {
            let (limit, shown) = (order.limit, order.shown());
            let answer = tokio::time::timeout(limit, call(order)).await;
            match answer.unwrap_or(Err(Failed::Late(limit))) {
                Ok(answer) => Done::of(Data::Http(answer)),
                Err(failed) => {
                    let error: &dyn std::error::Error = &failed;
                    tracing::debug!(target: "callout", plugin, to = shown, error, "a callout has no answer");
                    Done::with(failed.code())
                }
            }
        })
    })
}

async fn call(order: Order) -> Result<HttpAnswer, Failed> {
    let addresses = addresses(&order.to).await?;
    let connect = match &order.to {
        Destination::Service(called) => called.connect,
        Destination::Host { .. } => CONNECT,
    };
    let max_body = order.max_body;
    let (response, connection) = send(order.request, &addresses, connect).await?;
    let mut answer = answer(response, connection.address, max_body).await?;
    let survey = Survey::of(&answer.headers);
    // After one that ends the connection, or that was not framed, there may be no other.
    if answer.again {
        connection.keep();
    }
    strip_hop_by_hop(&mut answer.headers, survey);
    Ok(HttpAnswer {
        status: answer.status,
        headers: answer.headers,
        body: answer.body,
    })
}

/// Where a destination is, in the order in which to try.
async fn addresses(to: &Destination) -> Result<Vec<SocketAddr>, Failed> {
    match to {
        Destination::Service(called) => Ok(called.turn()),
        Destination::Host {
            host,
            port,
            resolver,
        } => {
            let found = resolver.look_up(host).await.map_err(Failed::NoName)?;
            Ok(found.into_iter().map(|ip| (ip, *port).into()).collect())
        }
    }
}

/// Sends a request to the first address that takes it. A kept connection that turns out dead is replaced if hyper gives
/// the request back unsent; anything later may have arrived and is never sent twice.
async fn send(
    mut request: Request<Full<Bytes>>,
    addresses: &[SocketAddr],
    connect: Duration,
) -> Result<(Response<Incoming>, Connection), Failed> {
    let mut last = Failed::Nobody;
    let by_address = !request.headers().contains_key(HOST);
    for address in addresses {
        if by_address && let Ok(host) = HeaderValue::try_from(address.to_string()) {
            request.headers_mut().insert(HOST, host);
        }
        let mut kept = connection::kept(*address);
        loop {
            let reused = kept.is_some();
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => match connection::open(*address, connect).await {
                    Ok(connection) => connection,
                    Err(failed) => {
                        last = failed;
                        break;
                    }
                },
            };
            match connection.requests.try_send_request(request).await {
                Ok(response) => return Ok((response, connection)),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) if reused => request = unsent,
                    Some(unsent) => {
                        request = unsent;
                        last = Failed::Died(*address, failed.into_error());
                        break;
                    }
                    None => return Err(Failed::Died(*address, failed.into_error())),
                },
            }
        }
    }
    Err(last)
}

/// An answer, whole.
struct Whole {
    status: http::StatusCode,
    headers: http::HeaderMap,
    body: Bytes,
    /// Whether the connection can take another request.
    again: bool,
}

async fn answer(
    response: Response<Incoming>,
    address: SocketAddr,
    max_body: usize,
) -> Result<Whole, Failed> {
    if let Some(flaw) = framing_flaw(&response) {
        return Err(Failed::Malformed(address, flaw));
    }
    let again = response.version() == http::Version::HTTP_11;
    let (head, mut body) = response.into_parts();
    let too_large = |bytes: u64| bytes > u64::try_from(max_body).unwrap_or(u64::MAX);
    // Nothing is said about the body of an answer to HEAD but its length.
    if !body.is_end_stream() && too_large(body.size_hint().lower()) {
        return Err(Failed::TooLarge(max_body));
    }
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failed::Died(address, error))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len().saturating_add(data.len()) > max_body {
            return Err(Failed::TooLarge(max_body));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Whole {
        status: head.status,
        headers: head.headers,
        body: bytes.freeze(),
        again,
    })
}
