//! Connections, with or without TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::HandshakeKind;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::plan::Plan;

/// How long the other side may take to end a connection it was asked to end.
pub(crate) const END: Duration = Duration::from_secs(5);

/// A connection to the target.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Connects; with TLS it is ready when the handshake is done and was what it should be.
    pub(crate) async fn connect(plan: &Plan) -> Result<Self, String> {
        let stream = TcpStream::connect(plan.target)
            .await
            .map_err(|error| format!("cannot connect: {error}"))?;
        Self::over(plan, stream).await
    }

    /// The same from one address of this machine, with room for so many bytes that nobody has read yet.
    pub(crate) async fn connect_from(
        plan: &Plan,
        from: IpAddr,
        room: Option<u32>,
    ) -> Result<Self, String> {
        let stream = connect_from(plan.target, from, room)
            .await
            .map_err(|error| format!("cannot connect from {from}: {error}"))?;
        Self::over(plan, stream).await
    }

    /// The socket below.
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    async fn over(plan: &Plan, stream: TcpStream) -> Result<Self, String> {
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        let Some(connector) = &plan.tls else {
            return Ok(Self::Plain(stream));
        };
        let name = ServerName::try_from("localhost").map_err(|error| error.to_string())?;
        let stream = connector
            .connect(name, stream)
            .await
            .map_err(|error| format!("no TLS: {error}"))?;
        let (_, session) = stream.get_ref();
        let agreed = session.alpn_protocol();
        if agreed != Some(plan.protocol()) {
            let agreed = String::from_utf8_lossy(agreed.unwrap_or(b"nothing"));
            return Err(format!("the handshake agreed on {agreed} as the protocol"));
        }
        if session.handshake_kind() != Some(HandshakeKind::Full) {
            return Err(String::from("the handshake was not a plain full one"));
        }
        Ok(Self::Tls(Box::new(stream)))
    }

    /// What was agreed upon with the other side, in words.
    pub(crate) fn agreed(&self) -> String {
        let Self::Tls(stream) = self else {
            return String::from("no TLS");
        };
        let (_, session) = stream.get_ref();
        let version = session.protocol_version().map(|one| format!("{one:?}"));
        let suite = session
            .negotiated_cipher_suite()
            .map(|one| format!("{:?}", one.suite()));
        let group = session
            .negotiated_key_exchange_group()
            .map(|one| format!("{:?}", one.name()));
        let protocol = session
            .alpn_protocol()
            .map(|one| String::from_utf8_lossy(one).into_owned());
        let all = [version, suite, group, protocol];
        all.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// Sends all parts.
    pub(crate) async fn send(&mut self, parts: &[&[u8]]) -> Result<(), String> {
        let cannot_send = |error| format!("cannot send: {error}");
        for part in parts {
            self.write_all(part).await.map_err(cannot_send)?;
        }
        // TLS may hold back what the connection had no room for.
        self.flush().await.map_err(cannot_send)
    }

    /// Lets the other side close first, as it was asked to: its side then keeps the port, and the ports of this machine
    /// last.
    pub(crate) async fn ended(mut self) -> Result<(), String> {
        let end = async {
            // Reset or ended, it is over.
            if self.read_u8().await.is_ok() {
                return Err(String::from("bytes follow the last answer of a connection"));
            }
            if let Self::Tls(stream) = self {
                let (mut stream, _) = stream.into_inner();
                // What TLS has ended, TCP still has to.
                let _ = stream.read_u8().await;
            }
            Ok(())
        };
        timeout(END, end).await.unwrap_or_else(|_| {
            Err(String::from(
                "a connection was not closed although its end was asked for",
            ))
        })
    }
}

async fn connect_from(
    target: SocketAddr,
    from: IpAddr,
    room: Option<u32>,
) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(room) = room {
        socket.set_recv_buffer_size(room)?;
    }
    socket.bind(SocketAddr::new(from, 0))?;
    socket.connect(target).await
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
