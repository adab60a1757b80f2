//! One request to one upstream.
//!
//! What is repeated, and why that is safe: a connect that failed goes on to the next target, because nothing was sent;
//! a kept connection that turns out dead is replaced once, but only if hyper gives the request back unsent. Anything
//! later may have reached the upstream and is never sent twice.

use std::rc::Rc;
use std::time::Instant;

use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::balance::RoundRobin;
use super::body::RequestBody;
use super::pool::{Pool, Sender, connect};
use crate::config::ready::ServiceTimeouts;
use crate::respond::failure::UpstreamFault;

/// A group of targets, on one worker.
#[derive(Debug)]
pub struct Group {
    /// In the order of the configuration; never empty.
    pub pools: Vec<Rc<Pool>>,
    /// Chooses among them.
    pub balance: RoundRobin,
}

/// An answer, and the connection it came on.
#[derive(Debug)]
pub struct Sent {
    /// The head, and the body as it comes.
    pub response: Response<Incoming>,
    /// Goes back to its pool when the body is over.
    pub lease: Lease,
    /// When the target was chosen.
    pub started: Instant,
}

/// A connection in use.
#[derive(Debug)]
pub struct Lease {
    /// Where it came from.
    pub pool: Rc<Pool>,
    sender: Sender,
}

impl Lease {
    /// Gives the connection back.
    pub fn give_back(self) {
        self.pool.put(self.sender);
    }
}

/// Sends a request to a target of the group and waits for the head of its answer.
///
/// `authority` writes the target into the request where the client's `Host` is not kept.
///
/// # Errors
/// Whatever the upstream did wrong.
pub async fn send(
    group: &Group,
    mut request: Request<RequestBody>,
    timeouts: ServiceTimeouts,
    preserve_host: bool,
) -> Result<Sent, UpstreamFault> {
    let started = Instant::now();
    let count = group.pools.len();
    let first = group.balance.next();
    let mut tried = 0;
    let (mut pool, mut sender, mut reused) = checkout(group, first, &mut tried, timeouts).await?;
    loop {
        if !preserve_host {
            set_host(&mut request, &pool);
        }
        let head = timeout(timeouts.response, sender.try_send_request(request)).await;
        match head {
            Err(_) => {
                return Err(UpstreamFault::TimedOut {
                    target: pool.target,
                    what: "answer",
                    limit: timeouts.response,
                });
            }
            Ok(Ok(response)) => {
                check(&response, &pool)?;
                return Ok(Sent {
                    response,
                    lease: Lease { pool, sender },
                    started,
                });
            }
            Ok(Err(mut failed)) => match failed.take_message() {
                Some(unsent) if reused => {
                    request = unsent;
                    reused = false;
                    sender = fresh(&pool, timeouts)
                        .await
                        .map_err(|fault| fault.into_fault(&pool, tried.max(1)))?;
                }
                // A fresh connection that closed before it took the request is like one that was refused.
                Some(unsent) if tried < count => {
                    request = unsent;
                    let next = (first + tried) % count;
                    (pool, sender, reused) = checkout(group, next, &mut tried, timeouts).await?;
                }
                _ => return Err(died(pool.target, failed.into_error())),
            },
        }
    }
}

fn died(target: std::net::SocketAddr, error: hyper::Error) -> UpstreamFault {
    if error.is_parse() {
        let cause = std::error::Error::source(&error)
            .map_or_else(|| error.to_string(), ToString::to_string);
        UpstreamFault::Malformed {
            target,
            text: cause,
        }
    } else {
        UpstreamFault::Died {
            target,
            source: error,
        }
    }
}

/// A kept connection, or a fresh one to the first target that takes it.
async fn checkout(
    group: &Group,
    first: usize,
    tried: &mut usize,
    timeouts: ServiceTimeouts,
) -> Result<(Rc<Pool>, Sender, bool), UpstreamFault> {
    let count = group.pools.len();
    let mut at = first;
    loop {
        let pool = group
            .pools
            .get(at % count)
            .or(group.pools.first())
            .map(Rc::clone);
        let Some(pool) = pool else {
            // Validation admits no empty group; this keeps the serving path free of a panic all the same.
            return Err(UpstreamFault::Unwritable {
                target: ([0, 0, 0, 0], 0).into(),
                text: "no targets".into(),
            });
        };
        *tried += 1;
        if let Some(sender) = pool.take() {
            return Ok((pool, sender, true));
        }
        match fresh(&pool, timeouts).await {
            Ok(sender) => return Ok((pool, sender, false)),
            Err(failed) if *tried >= count => return Err(failed.into_fault(&pool, *tried)),
            Err(failed) => {
                tracing::warn!(target: "upstream", target_address = %pool.target, "{}", failed.into_fault(&pool, *tried));
                at += 1;
            }
        }
    }
}

enum ConnectFailed {
    Io(std::io::Error),
    Late(std::time::Duration),
}

impl ConnectFailed {
    fn into_fault(self, pool: &Pool, tried: usize) -> UpstreamFault {
        let target = pool.target;
        match self {
            Self::Io(source) => UpstreamFault::Connect {
                target,
                tried,
                source,
            },
            Self::Late(limit) => UpstreamFault::TimedOut {
                target,
                what: "connect",
                limit,
            },
        }
    }
}

async fn fresh(pool: &Pool, timeouts: ServiceTimeouts) -> Result<Sender, ConnectFailed> {
    match timeout(timeouts.connect, connect(pool.target)).await {
        Ok(Ok(sender)) => Ok(sender),
        Ok(Err(error)) => Err(ConnectFailed::Io(error)),
        Err(_) => Err(ConnectFailed::Late(timeouts.connect)),
    }
}

fn set_host(request: &mut Request<RequestBody>, pool: &Pool) {
    request
        .headers_mut()
        .insert(header::HOST, pool.host.clone());
}

/// Refuses answers that could be read in more than one way (RFC 9112, 6.1 and 6.3), which hyper lets through.
fn check(response: &Response<Incoming>, pool: &Pool) -> Result<(), UpstreamFault> {
    let malformed = |text: &str| {
        Err(UpstreamFault::Malformed {
            target: pool.target,
            text: text.to_owned(),
        })
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return malformed("it switched protocols without having been asked");
    }
    let headers = response.headers();
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => {}
        // RFC 9112, 6.3: a sign of response splitting, which ought to be handled as an error.
        (Some(_), None) if headers.contains_key(header::CONTENT_LENGTH) => {
            return malformed("it has both Transfer-Encoding and Content-Length");
        }
        (Some(one), None) if one.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => {}
        _ => return malformed("its Transfer-Encoding is not chunked alone"),
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    if let Some(first) = lengths.next() {
        let digits = !first.is_empty() && first.as_bytes().iter().all(u8::is_ascii_digit);
        if !digits || lengths.any(|other| other != first) {
            return malformed("its Content-Length is not one number");
        }
    }
    Ok(())
}
