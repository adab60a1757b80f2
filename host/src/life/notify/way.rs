//! The way to the service manager: a socket, or the process that supervises this one.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, OnceLock};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::supervise::link::Link;

#[derive(Debug)]
pub(super) enum Way {
    Socket(UnixDatagram),
    Parent(OnceLock<Arc<Link>>),
}

impl Way {
    /// Says it; nobody waits for an answer.
    pub(super) fn say(&self, text: &str) -> io::Result<()> {
        match self {
            Self::Socket(socket) => socket.send(text.as_bytes()).map(drop),
            Self::Parent(link) => link.get().map_or(Ok(()), |link| link.notify(text)),
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
