//! Connecting to a target, with or without TLS.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::manner::Destination;
use crate::config::ready::UpstreamProtocol;
use crate::endpoint::Endpoint;
use crate::metrics::traffic::Attempt;
use crate::socket::{Socket, shortage};
use crate::tls::client::ClientTls;
use crate::tls::reason;
use crate::wire::Wire;

/// How long nothing that was sent may be confirmed on a connection that carries many requests.
const DEAD: Duration = Duration::from_secs(30);
/// Pauses between two tries where the system has no socket to give. Short in all: requests that wait for one hold what
/// others need.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(1),
    Duration::from_millis(10),
    Duration::from_millis(30),
    Duration::from_millis(100),
];

/// Which version a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreed {
    /// One request at a time.
    Http1,
    /// Many at once.
    Http2,
}

/// Why there is no connection.
#[derive(Debug)]
pub enum Failed {
    /// The system says so.
    Connect(io::Error),
    /// This system has no socket to give, which says nothing of the target.
    Short(io::Error),
    /// It is there, and TLS with it came to nothing.
    Tls(io::Error),
    /// It took longer than this.
    Late(Duration),
    /// Those that are there had no room for so long.
    Full(Duration),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Connect(error)
    }
}

impl Failed {
    /// What an attempt came to that ended with it.
    #[must_use]
    pub fn outcome(&self) -> Attempt {
        match self {
            Self::Connect(_) => Attempt::ConnectError,
            Self::Short(_) => Attempt::NoSocket,
            Self::Tls(_) => Attempt::TlsError,
            Self::Late(_) => Attempt::ConnectTimeout,
            Self::Full(_) => Attempt::Timeout,
        }
    }

    /// What was wrong, in words.
    #[must_use]
    pub fn into_error(self) -> io::Error {
        match self {
            Self::Connect(error) | Self::Short(error) | Self::Tls(error) => error,
            Self::Late(_) | Self::Full(_) => io::ErrorKind::TimedOut.into(),
        }
    }

    /// The same, for somebody else who waited for it.
    #[must_use]
    pub fn again(&self) -> Self {
        let again = |error: &io::Error| io::Error::new(error.kind(), error.to_string());
        match self {
            Self::Connect(error) => Self::Connect(again(error)),
            Self::Short(error) => Self::Short(again(error)),
            Self::Tls(error) => Self::Tls(again(error)),
            Self::Late(limit) => Self::Late(*limit),
            Self::Full(limit) => Self::Full(*limit),
        }
    }
}

/// Connects to a target, in TLS if it is to be.
///
/// # Errors
/// What the system said, or what is wrong with the target's TLS.
pub async fn dial(to: &Destination) -> Result<(Wire, Agreed), Failed> {
    let socket = connect(&to.target).await?;
    if let Socket::Tcp(stream) = &socket {
        stream.set_nodelay(true)?;
        if to.manner.protocol != UpstreamProtocol::Http1 {
            notice_death(stream);
        }
    }
    match &to.manner.tls {
        None => {
            let agreed = match to.manner.protocol {
                UpstreamProtocol::Http2 => Agreed::Http2,
                UpstreamProtocol::Http1 | UpstreamProtocol::Auto => Agreed::Http1,
            };
            Ok((Wire::plain(socket), agreed))
        }
        // Much larger than the rest, and only here.
        Some(tls) => Box::pin(encrypt(socket, to, tls)).await,
    }
}

/// A connected socket. Where the system has none to give it is asked again for a moment, for others end all the time; from
/// the second time on, what this worker holds and does not use goes.
async fn connect(target: &Endpoint) -> Result<Socket, Failed> {
    let mut pauses = PAUSES.iter().enumerate();
    loop {
        let connected = match target {
            Endpoint::Tcp(address) => TcpStream::connect(*address).await.map(Socket::Tcp),
            Endpoint::Unix(path) => UnixStream::connect(path).await.map(Socket::Unix),
        };
        let error = match connected {
            Ok(socket) => return Ok(socket),
            Err(error) if shortage::is(&error) => error,
            Err(error) => return Err(Failed::Connect(error)),
        };
        let Some((tries, pause)) = pauses.next() else {
            return Err(Failed::Short(error));
        };
        if tries > 0 {
            shortage::tell();
        }
        tokio::time::sleep(*pause).await;
    }
}

/// Has the system find out whether the other end is still there: many requests meet on a connection, and would all be
/// lost on one that is dead. Without it, the time-outs of requests are left to find it.
fn notice_death(stream: &TcpStream) {
    let probes = TcpKeepalive::new()
        .with_time(DEAD / 2)
        .with_interval(DEAD / 6)
        .with_retries(3);
    let socket = SockRef::from(stream);
    let _ = socket.set_tcp_keepalive(&probes);
    let _ = socket.set_tcp_user_timeout(Some(DEAD));
}

async fn encrypt(
    socket: Socket,
    to: &Destination,
    tls: &ClientTls,
) -> Result<(Wire, Agreed), Failed> {
    let connector = TlsConnector::from(Arc::clone(&tls.config));
    let stream = connector
        .connect(tls.name_of(&to.target, to.name.as_deref()), socket)
        .await
        .map_err(|error| Failed::Tls(io::Error::other(reason::of_handshake(&error))))?;
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let agreed = match (to.manner.protocol, http2) {
        (UpstreamProtocol::Http2, false) => {
            let text = "it did not agree to HTTP/2 (ALPN); set protocol of the upstream to http/1.1 or auto";
            return Err(Failed::Tls(io::Error::other(text)));
        }
        (_, true) => Agreed::Http2,
        (_, false) => Agreed::Http1,
    };
    Ok((Wire::tls(stream), agreed))
}
