//! Binding: one socket for each worker on the same address.
//!
//! With `SO_REUSEPORT` the kernel spreads connections over the sockets, and also lets a second gateway bind the same
//! address in silence. So a bind without it comes first, as a probe: it fails when anybody else listens there.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted, for each socket; the system's own limit applies as well.
pub(super) const BACKLOG: i32 = 1024;

/// Binds `count` sockets to one address; with port 0 the first one's port is used for all.
///
/// # Errors
/// What the system said; somebody else listens there, for example.
pub fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    drop(socket(address, false)?);
    let mut sockets = Vec::with_capacity(count);
    let mut address = address;
    for _ in 0..count {
        let listening = listen(socket(address, true)?)?;
        address = listening.local_addr()?;
        sockets.push(listening);
    }
    Ok(sockets)
}

/// Binds one socket that is not shared, for the admin listener.
///
/// # Errors
/// What the system said.
pub fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    listen(socket(address, false)?)
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // "[::]" means IPv6 only; whoever wants both lists both, and no bind depends on a system setting.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn listen(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_address_is_refused_although_ports_are_shared() {
        let sockets = bind(([127, 0, 0, 1], 0).into(), 2).unwrap();
        let address = sockets[0].local_addr().unwrap();
        assert_eq!(sockets[1].local_addr().unwrap(), address);
        assert_eq!(
            bind(address, 1).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        drop(sockets);
        assert!(bind(address, 1).is_ok());
    }
}
