//! Sockets of the network or of the file system: those that are connected, and those that [`listen`](listening); and
//! how many there may be ([`descriptors`]), and what is done where the system gives none ([`shortage`]).

pub mod descriptors;
pub mod listening;
pub mod shortage;

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connected socket.
#[derive(Debug)]
pub enum Socket {
    /// Of the network.
    Tcp(TcpStream),
    /// Of the file system.
    Unix(UnixStream),
    /// One of which more was read than was looked for.
    Begun(Box<Begun>),
}

/// A socket, and what was read from it and belongs to whoever reads next.
#[derive(Debug)]
pub struct Begun {
    socket: Socket,
    read: Bytes,
}

/// Who is at the other end of a Unix socket: somebody on this machine, without a port.
const NEIGHBOUR: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

impl Socket {
    /// Whether the other end has an address: in the file system everybody is the same neighbour.
    #[must_use]
    pub fn is_of_the_network(&self) -> bool {
        match self {
            Self::Begun(begun) => begun.socket.is_of_the_network(),
            Self::Tcp(_) => true,
            Self::Unix(_) => false,
        }
    }

    /// The other end.
    ///
    /// # Errors
    /// It is gone already.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Begun(begun) => begun.socket.peer_addr(),
            Self::Tcp(stream) => stream.peer_addr(),
            Self::Unix(_) => Ok(NEIGHBOUR),
        }
    }

    /// This end.
    ///
    /// # Errors
    /// It is gone already.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Begun(begun) => begun.socket.local_addr(),
            Self::Tcp(stream) => stream.local_addr(),
            Self::Unix(_) => Ok(NEIGHBOUR),
        }
    }

    /// Takes back what was read and not used: it is what is read next.
    #[must_use]
    pub fn with_read(self, read: Bytes) -> Self {
        if read.is_empty() {
            return self;
        }
        Self::Begun(Box::new(Begun { socket: self, read }))
    }

    /// Sends small pieces at once, whatever is on its way. Failure costs latency, not correctness.
    pub fn hurry(&self) {
        match self {
            Self::Begun(begun) => begun.socket.hurry(),
            Self::Tcp(stream) => {
                let _ = stream.set_nodelay(true);
            }
            Self::Unix(_) => {}
        }
    }

    /// Has the connection reset when it is dropped, so that the other end does not take it for a good end.
    pub fn reset(&self) {
        let _ = socket2::SockRef::from(self).set_linger(Some(Duration::ZERO));
    }
}

impl Begun {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.socket).poll_read(cx, buf);
        }
        let length = self.read.len().min(buf.remaining());
        buf.put_slice(self.read.get(..length).unwrap_or_default());
        self.read.advance(length);
        if self.read.is_empty() {
            // The rest of the connection does not need the memory.
            self.read = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Begun(begun) => begun.socket.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Begun(begun) => begun.poll_read(cx, buf),
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Begun(begun) => Pin::new(&mut begun.socket).poll_write(cx, buf),
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Begun(begun) => Pin::new(&mut begun.socket).poll_write_vectored(cx, bufs),
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Begun(begun) => Pin::new(&mut begun.socket).poll_flush(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Begun(begun) => Pin::new(&mut begun.socket).poll_shutdown(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn what_was_read_comes_first() {
        let (one, mut other) = UnixStream::pair().unwrap();
        other.write_all(b"de").await.unwrap();
        drop(other);
        let mut socket = Socket::Unix(one).with_read(Bytes::from_static(b"abc"));
        let mut two = [0; 2];
        socket.read_exact(&mut two).await.unwrap();
        assert_eq!(&two, b"ab");
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"cde");
        assert_eq!(socket.peer_addr().unwrap(), NEIGHBOUR);
    }
}
