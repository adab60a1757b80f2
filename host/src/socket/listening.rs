//! A listening socket, of the network or of the file system.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;

use super::Socket;
use crate::endpoint::Endpoint;

/// A listening socket; it does not block.
#[derive(Debug)]
pub enum Listening {
    /// Of the network.
    Tcp(TcpListener),
    /// Of the file system.
    Unix(UnixListener),
}

impl Listening {
    /// The one that was handed over under an address.
    #[must_use]
    pub fn handed_over(socket: OwnedFd, address: &Endpoint) -> Self {
        match address {
            Endpoint::Tcp(_) => Self::Tcp(socket.into()),
            Endpoint::Unix(_) => Self::Unix(socket.into()),
        }
    }

    /// The address of the network where it is bound.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    /// The socket, if it is one of the network.
    #[must_use]
    pub fn into_tcp(self) -> Option<TcpListener> {
        match self {
            Self::Tcp(listener) => Some(listener),
            Self::Unix(_) => None,
        }
    }

    /// Has the runtime watch it.
    ///
    /// # Errors
    /// There is no runtime, or the system watches no more.
    pub fn watched(self) -> io::Result<Watched> {
        Ok(match self {
            Self::Tcp(listener) => Watched::Tcp(tokio::net::TcpListener::from_std(listener)?),
            Self::Unix(listener) => Watched::Unix(tokio::net::UnixListener::from_std(listener)?),
        })
    }

    /// Takes a connection that waits already.
    ///
    /// # Errors
    /// There is none, or the system says why not.
    pub(crate) fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                tokio::net::TcpStream::from_std(stream).map(Socket::Tcp)
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                tokio::net::UnixStream::from_std(stream).map(Socket::Unix)
            }
        }
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}

/// A listening socket that a runtime watches.
#[derive(Debug)]
pub enum Watched {
    /// Of the network.
    Tcp(tokio::net::TcpListener),
    /// Of the file system.
    Unix(tokio::net::UnixListener),
}

impl Watched {
    /// Takes the next connection.
    ///
    /// # Errors
    /// The system says why not.
    pub(crate) async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(one, _)| Socket::Tcp(one)),
            Self::Unix(listener) => listener.accept().await.map(|(one, _)| Socket::Unix(one)),
        }
    }

    /// The socket, which nobody watches any more.
    ///
    /// # Errors
    /// The system says why not.
    pub(crate) fn unwatched(self) -> io::Result<Listening> {
        Ok(match self {
            Self::Tcp(listener) => Listening::Tcp(listener.into_std()?),
            Self::Unix(listener) => Listening::Unix(listener.into_std()?),
        })
    }
}
