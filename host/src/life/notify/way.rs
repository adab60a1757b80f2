//! The way to the service manager: a socket, or the process that supervises this one.

use std::ffi::OsStr;
use std::fmt::Debug;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use socket2::{Domain, SockAddr, Socket, Type};

/// A process that supervises this one.
pub trait Parent: Debug + Send + Sync {
    /// Has it pass words on to the service manager.
    ///
    /// # Errors
    /// It is gone.
    fn notify(&self, text: &str) -> io::Result<()>;
}

#[derive(Debug)]
pub(super) enum Way {
    Socket(UnixDatagram),
    Parent(Arc<dyn Parent>),
}

impl Way {
    /// Says it; nobody waits for an answer.
    pub(super) fn say(&self, text: &str) -> io::Result<()> {
        match self {
            Self::Socket(socket) => socket.send(text.as_bytes()).map(drop),
            Self::Parent(parent) => parent.notify(text),
        }
    }
}

/// A socket that sends to an address: a path, or a name behind an `@`. It never waits: the service manager reads what is sent
/// when it likes, and this thread has other things to do.
pub(super) fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let bytes = address.as_bytes();
    let target = match bytes.split_first() {
        Some((b'@', name)) => SockAddr::unix(OsStr::from_bytes(&[b"\0", name].concat()))?,
        Some((b'/', _)) => SockAddr::unix(address)?,
        _ => {
            let text = "the address is neither a path nor a name behind an @";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
    };
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
    socket.connect(&target)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
