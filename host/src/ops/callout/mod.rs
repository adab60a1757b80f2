//! HTTP callouts of plugins.
//!
//! A callout goes to a service of the configuration or to an address on its allow list, over a connection of the thread
//! that waits for it. All of it has one limit on time. Redirects are not followed: where they lead was never allowed.
//! Dropping a callout closes its connection, for the answer that is still on its way would be read as the next one's.

mod connection;
mod order;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::header::HOST;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use swapgate_abi as abi;

pub use order::{Ask, Order, Refused, order};

use super::directory::Called;
use super::resolve::Resolver;
use super::{Begin, Data, Done, HttpAnswer};
use crate::context::headers::{Survey, strip_hop_by_hop};
use crate::discovery::known::Located;
use crate::endpoint::Endpoint;
use crate::tls::client::ClientTls;
use crate::upstream::body::RequestBody;
use crate::upstream::dial;
use crate::upstream::flaw::framing_flaw;
use crate::upstream::lease::Lease;
use crate::upstream::manner::{Destination as Place, Manner};
use crate::upstream::pool::{Carrier, Limits, Pool};
use crate::upstream::send::{self, REPEATS};

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
        /// Whether it is spoken to in TLS.
        tls: bool,
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
    Connect(Endpoint, #[source] std::io::Error),
    #[error("a connect to {0} took too long")]
    ConnectLate(Endpoint),
    #[error("TLS cannot be spoken with it: {0}")]
    Tls(String),
    #[error("{0} broke the connection off")]
    Died(Endpoint, #[source] hyper::Error),
    #[error("the request to {0} cannot be written")]
    Unwritable(Endpoint, #[source] http::Error),
    #[error("the answer of {0} is malformed: {1}")]
    Malformed(Endpoint, &'static str),
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
            | Self::Tls(_)
            | Self::Unwritable(..)
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
    let places = places(&order.to).await?;
    let connect = match &order.to {
        Destination::Service(called) => called.connect,
        Destination::Host { .. } => CONNECT,
    };
    let max_body = order.max_body;
    let request = order.request.map(|body| match body.is_empty() {
        true => RequestBody::Empty,
        false => RequestBody::Whole(body),
    });
    let (response, lease) = send(request, &places, connect).await?;
    let mut answer = answer(response, &lease.pool.to.target, max_body).await?;
    let survey = Survey::of(&answer.headers);
    lease.give_back();
    strip_hop_by_hop(&mut answer.headers, survey);
    Ok(answer)
}

/// Where a destination is and how it is spoken to, in the order in which to try.
async fn places(to: &Destination) -> Result<Vec<Place>, Failed> {
    match to {
        Destination::Service(called) => {
            let targets = called.turn().into_iter();
            let place = |target: &Located| Place {
                target: target.address.clone(),
                name: target.name.clone(),
                manner: called.manner.clone(),
            };
            Ok(targets.map(place).collect())
        }
        Destination::Host {
            host,
            port,
            tls,
            resolver,
        } => {
            let mut manner = Manner::PLAIN;
            if *tls {
                let tls = ClientTls::of_system(host).map_err(Failed::Tls)?;
                manner.tls = Some(Arc::new(tls));
            }
            let found = resolver.look_up(host).await.map_err(Failed::NoName)?;
            let place = |ip| Place {
                target: SocketAddr::new(ip, *port).into(),
                name: None,
                manner: manner.clone(),
            };
            Ok(found.into_iter().map(place).collect())
        }
    }
}

/// Sends a request to the first place that takes it. What is repeated is what nobody processed, as for exchanges
/// (see [`crate::upstream::send`]); anything else may have arrived and is never sent twice.
async fn send(
    mut request: Request<RequestBody>,
    places: &[Place],
    connect: Duration,
) -> Result<(Response<Incoming>, Lease), Failed> {
    let mut last = Failed::Nobody;
    let by_address = !request.headers().contains_key(HOST);
    for place in places {
        let pool = connection::pool(place);
        if by_address {
            request.headers_mut().insert(HOST, pool.host.clone());
        }
        let mut kept = pool.take();
        for _ in 0..REPEATS {
            let (mut carrier, reused) = match kept.take() {
                Some(carrier) => (carrier, true),
                None => match open(&pool, connect).await {
                    Ok(opened) => opened,
                    Err(failed) => {
                        last = failed;
                        break;
                    }
                },
            };
            let failed = match attempt(&mut carrier, &pool, request).await? {
                Ok(response) => {
                    let lease = Lease::new(pool, (carrier, None), &response);
                    return Ok((response, lease));
                }
                Err(failed) => failed,
            };
            let died = Failed::Died(place.target.clone(), failed.error);
            let Some(unsent) = failed.unsent else {
                return Err(died);
            };
            request = unsent;
            last = died;
            if !reused && !failed.refused {
                break;
            }
        }
    }
    Err(last)
}

async fn open(pool: &Rc<Pool>, connect: Duration) -> Result<(Carrier, bool), Failed> {
    // All of the callout has one limit, which ends the wait for room as well.
    let room = Duration::MAX;
    let opened = pool.open(Limits { connect, room }).await;
    opened.map_err(|failed| {
        let target = pool.to.target.clone();
        match failed {
            dial::Failed::Late(_) => Failed::ConnectLate(target),
            other => Failed::Connect(target, other.into_error()),
        }
    })
}

async fn attempt(
    carrier: &mut Carrier,
    pool: &Pool,
    request: Request<RequestBody>,
) -> Result<Result<Response<Incoming>, send::Failed>, Failed> {
    match carrier {
        Carrier::Http1(sender) => Ok(sender.send(request).await.map_err(send::Failed::from)),
        Carrier::Http2(ticket) => {
            let written = ticket
                .write(request, pool)
                .map_err(|error| Failed::Unwritable(pool.to.target.clone(), error))?;
            Ok(ticket.send(written).await)
        }
    }
}

async fn answer(
    response: Response<Incoming>,
    target: &Endpoint,
    max_body: usize,
) -> Result<HttpAnswer, Failed> {
    if let Some(flaw) = framing_flaw(&response) {
        return Err(Failed::Malformed(target.clone(), flaw));
    }
    let (head, mut body) = response.into_parts();
    let too_large = |bytes: u64| bytes > u64::try_from(max_body).unwrap_or(u64::MAX);
    // Nothing is said about the body of an answer to HEAD but its length.
    if !body.is_end_stream() && too_large(body.size_hint().lower()) {
        return Err(Failed::TooLarge(max_body));
    }
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failed::Died(target.clone(), error))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len().saturating_add(data.len()) > max_body {
            return Err(Failed::TooLarge(max_body));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(HttpAnswer {
        status: head.status,
        headers: head.headers,
        body: bytes.freeze(),
    })
}
