//! A port of the loopback interface that stays the test's own while nobody listens on it.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// A port that is bound, without anybody listening: connections to it are refused, the system gives it to nobody else, and
/// whoever binds it with `SO_REUSEADDR` (as servers do) may listen on it, end, and listen again.
#[derive(Debug)]
pub struct Port {
    _socket: Socket,
    address: SocketAddr,
}

impl Port {
    /// Takes a free one.
    ///
    /// # Panics
    /// When the system gives none.
    #[must_use]
    pub fn take() -> Self {
        let socket = bound((Ipv4Addr::LOCALHOST, 0).into());
        let address = socket.local_addr().ok().and_then(|bound| bound.as_socket());
        Self {
            address: address.expect("a bound socket has an address"),
            _socket: socket,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens on it, with room for so many connections that nobody has accepted.
    ///
    /// # Panics
    /// When somebody else does.
    #[must_use]
    #[track_caller]
    pub fn listen(&self, backlog: i32) -> Socket {
        let listener = bound(self.address);
        listener.listen(backlog).expect("nobody else listens on it");
        listener
    }
}

#[track_caller]
fn bound(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("a socket option");
    socket.bind(&address.into()).expect("the port is ours");
    socket
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn refuses_unless_somebody_listens_on_it() {
        let port = Port::take();
        for _ in 0..3 {
            assert!(TcpStream::connect(port.address()).is_err());
            let listener = port.listen(8);
            let client = TcpStream::connect(port.address()).expect("somebody listens");
            let (accepted, _) = listener.accept().expect("a connection waits");
            // The side that closes first keeps the port busy for a while: that must be no obstacle.
            drop((accepted, client));
        }
    }
}
