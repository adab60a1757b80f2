//! Where somebody listens: an address of the network, or a socket in the file system.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// What stands before the path of a Unix socket.
pub const UNIX: &str = "unix:";

/// Where somebody listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// IP address and port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(Arc<Path>),
}

/// Stands where there should be one and is none.
pub const NOWHERE: Endpoint = Endpoint::Tcp(SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
    0,
));

impl Endpoint {
    /// The address, if it is one of the network.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The port, if there is one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.tcp().map(|address| address.port())
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_it_is_written_in_a_configuration() {
        let tcp = Endpoint::from(SocketAddr::from(([127, 0, 0, 1], 80)));
        let unix = Endpoint::Unix(Path::new("/run/a.sock").into());
        assert_eq!(tcp.to_string(), "127.0.0.1:80");
        assert_eq!(unix.to_string(), "unix:/run/a.sock");
        assert_eq!((tcp.port(), unix.port()), (Some(80), None));
    }
}
