//! A connected socket to a target, with or without TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::manner::Destination;
use crate::config::ready::UpstreamProtocol;
use crate::endpoint::Endpoint;
use crate::gather::Gather;
use crate::socket::Socket;
use crate::tls::client::ClientTls;
use crate::tls::reason;

/// How long nothing that was sent may be confirmed on a connection that carries many requests.
const DEAD: Duration = Duration::from_secs(30);

/// A socket, with or without TLS.
pub enum Wire {
    /// Without.
    Plain(Gather),
    /// With; on the heap, because its buffers are large.
    Tls(Box<TokioIo<TlsStream<Socket>>>),
}

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
    /// What was wrong, in words.
    #[must_use]
    pub fn into_error(self) -> io::Error {
        match self {
            Self::Connect(error) | Self::Tls(error) => error,
            Self::Late(_) | Self::Full(_) => io::ErrorKind::TimedOut.into(),
        }
    }

    /// The same, for somebody else who waited for it.
    #[must_use]
    pub fn again(&self) -> Self {
        let again = |error: &io::Error| io::Error::new(error.kind(), error.to_string());
        match self {
            Self::Connect(error) => Self::Connect(again(error)),
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
    let socket = match &to.target {
        Endpoint::Tcp(address) => Socket::Tcp(TcpStream::connect(*address).await?),
        Endpoint::Unix(path) => Socket::Unix(UnixStream::connect(path).await?),
    };
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
            Ok((Wire::Plain(Gather::new(socket)), agreed))
        }
        // Much larger than the rest, and only here.
        Some(tls) => Box::pin(encrypt(socket, to, tls)).await,
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
        .connect(tls.name_of(&to.target), socket)
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
    Ok((Wire::Tls(Box::new(TokioIo::new(stream))), agreed))
}

impl Wire {
    /// Has it reset when it is dropped.
    pub fn reset(&mut self) {
        match self {
            Self::Plain(stream) => stream.reset(),
            Self::Tls(stream) => stream.inner_mut().get_mut().0.reset(),
        }
    }
}

impl Read for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl Write for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
