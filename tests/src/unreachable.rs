//! Addresses at which nobody can be reached, in the two ways that happen.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// An address that refuses connections for as long as this lives: bound, so that nobody else gets the port, but not
/// listening.
pub struct Refusing {
    _socket: Socket,
    address: SocketAddr,
}

impl Refusing {
    /// Takes a free port.
    ///
    /// # Panics
    /// When the system gives none.
    #[must_use]
    pub fn new() -> Self {
        let (socket, address) = bound();
        Self {
            _socket: socket,
            address,
        }
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Default for Refusing {
    fn default() -> Self {
        Self::new()
    }
}

/// An address that never answers a connection attempt: its queue is full, so Linux drops every further SYN.
pub struct Deaf {
    _listener: Socket,
    _queued: Vec<Socket>,
    address: SocketAddr,
}

impl Deaf {
    /// Takes a free port and fills its queue.
    ///
    /// # Panics
    /// When the system gives no port.
    #[must_use]
    pub fn new() -> Self {
        let (listener, address) = bound();
        listener.listen(0).expect("a bound socket listens");
        let fill = |_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            socket.set_nonblocking(true).expect("a socket option");
            // In progress for ever, once the queue is full: that is the point.
            let _ = socket.connect(&address.into());
            socket
        };
        let queued = (0..8).map(fill).collect();
        Self {
            _listener: listener,
            _queued: queued,
            address,
        }
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Default for Deaf {
    fn default() -> Self {
        Self::new()
    }
}

fn bound() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any.into()).expect("a free port");
    let address = socket.local_addr().ok().and_then(|bound| bound.as_socket());
    (socket, address.expect("a bound socket has an address"))
}
