//! The PROXY header, with which a load balancer says whose connection it passes on.
//!
//! It stands before everything else, TLS included. It is believed from `trusted_addresses` only; anybody else who sends one
//! is not answered. What it names takes the place of the connection's own ends: the client's address, `X-Forwarded-For` and
//! `X-Forwarded-Port`, conditions, logs. Whether *forwarding headers* are believed is asked of the address it names too, and
//! not of the balancer: a balancer that works on connections passes on whatever its client wrote into a request. So do
//! Envoy's listener filter and nginx with `real_ip_header proxy_protocol`. For the same reason they are believed of nobody
//! where a header names nobody. Who may send a header and sends none, or `LOCAL`, speaks for itself and is asked as any
//! other peer is.

mod header;
#[cfg(test)]
mod tests;
mod v1;
mod v2;

use std::io;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt as _;

use self::header::{Flaw, Look, Told, look};
use super::door;
use crate::context::connection::Proxied;
use crate::metrics::proxy::Failure;
use crate::snapshot::Speech;
use crate::socket::Socket;

/// How much is read at once: a header with some fields, and the first bytes after it.
const AT_ONCE: usize = 512;

/// A connection behind its PROXY header.
pub(super) struct Opened {
    pub(super) socket: Socket,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) proxied: Option<Proxied>,
    /// Whether a header says that it is somebody else's, and not whose.
    pub(super) nameless: bool,
}

/// Reads the header, where there may be one.
///
/// # Errors
/// Why the connection is not served, in words for the log.
pub(super) async fn open(
    socket: Socket,
    (peer, local): (SocketAddr, SocketAddr),
    speech: &Speech,
    trusted: bool,
) -> Result<Opened, String> {
    let mut opened = Opened {
        socket,
        peer,
        local,
        proxied: None,
        nameless: false,
    };
    if let Some(proxy) = &speech.proxy {
        let reading = proxy.failures.begin();
        let (told, rest) = match read(&mut opened.socket, proxy.required, trusted).await {
            Ok(read) => read,
            Err((failure, why)) => {
                reading.failed(failure);
                return Err(why);
            }
        };
        reading.done();
        opened.socket = opened.socket.with_read(rest);
        match told {
            Told::Ends {
                source,
                destination,
            } => {
                (opened.peer, opened.local) = (source, destination);
                opened.proxied = Some(Proxied::new(source, destination));
            }
            Told::Itself => {}
            Told::Nobody => opened.nameless = true,
        }
    }
    Ok(opened)
}

/// Why a connection is not served, for those who count and for those who read.
type Refused = (Failure, String);

/// What a header says, and what was read beyond it.
async fn read(
    socket: &mut Socket,
    required: bool,
    trusted: bool,
) -> Result<(Told, Bytes), Refused> {
    if required && !trusted {
        let why = "only trusted_addresses are served here, by way of a PROXY header";
        return Err((Failure::Untrusted, why.to_owned()));
    }
    let mut bytes = BytesMut::new();
    loop {
        let needed = match look(&bytes).map_err(unbelievable)? {
            Look::More(needed) => needed,
            Look::Absent => return absent(required, bytes),
            Look::Header(..) if !trusted => {
                let why = "it sends a PROXY header and is none of trusted_addresses";
                return Err((Failure::Untrusted, why.to_owned()));
            }
            Look::Header(told, length) => {
                let rest = bytes.split_off(length).freeze();
                return Ok((told, rest));
            }
        };
        bytes.reserve(AT_ONCE.max(needed.saturating_sub(bytes.len())));
        if socket
            .read_buf(&mut bytes)
            .await
            .map_err(|error| broken(&error))?
            == 0
        {
            return ended(required, bytes);
        }
    }
}

/// There is none: what was read belongs to what follows.
fn absent(required: bool, bytes: BytesMut) -> Result<(Told, Bytes), Refused> {
    if required {
        let why = "the connection does not begin with a PROXY header, which this listener requires";
        return Err((Failure::Missing, why.to_owned()));
    }
    Ok((Told::Itself, bytes.freeze()))
}

/// The client sends no more, and there is no whole header.
fn ended(required: bool, bytes: BytesMut) -> Result<(Told, Bytes), Refused> {
    if bytes.is_empty() {
        return Err((Failure::Closed, "the client left without a word".to_owned()));
    }
    if bytes.starts_with(v1::SIGNATURE) || bytes.starts_with(v2::SIGNATURE) {
        let why = "the client left within its PROXY header";
        return Err((Failure::Malformed, why.to_owned()));
    }
    // What began like a header is something else that is short.
    absent(required, bytes)
}

/// What the first bytes of a connection come to.
pub(super) fn for_door(bytes: &[u8]) -> Result<door::Header, String> {
    let looked = look(bytes).map_err(|flaw| unbelievable(flaw).1)?;
    Ok(match looked {
        Look::More(needed) => door::Header::More(needed),
        Look::Absent => door::Header::Absent,
        Look::Header(told, length) => {
            let ends = match told {
                Told::Ends {
                    source,
                    destination,
                } => Some((source, destination)),
                Told::Itself | Told::Nobody => None,
            };
            door::Header::Whole(ends, length)
        }
    })
}

fn unbelievable(flaw: Flaw) -> Refused {
    let why = format!("its PROXY header cannot be believed: {flaw}");
    (Failure::Malformed, why)
}

fn broken(error: &io::Error) -> Refused {
    (Failure::Closed, format!("connection ended: {error}"))
}
