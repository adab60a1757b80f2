//! What is the same for all exchanges of one connection.

use std::net::SocketAddr;
use std::rc::Rc;

use http::Version;
use ipnet::IpNet;

use super::forwarding::PeerValues;
use super::interim::Outbox;
use crate::context::Connection;

/// What is the same for all exchanges of one connection.
pub struct Peer {
    /// The other end.
    pub peer: SocketAddr,
    /// This end.
    pub local: SocketAddr,
    /// Header values made once.
    pub values: PeerValues,
    /// What else is known of the connection.
    pub connection: Rc<Connection>,
    /// What is said before answers, where the connection speaks HTTP/1.1.
    pub interim: Outbox,
}

impl Peer {
    /// Makes it when a connection is accepted.
    #[must_use]
    pub fn new(peer: SocketAddr, local: SocketAddr, connection: Connection) -> Self {
        Self {
            peer,
            local,
            values: PeerValues::new(peer, local, connection.scheme()),
            connection: Rc::new(connection),
            interim: Outbox::default(),
        }
    }

    /// Where interim answers go; HTTP/1.0 knows none (RFC 9110, 15.2), and hyper sends none over HTTP/2.
    pub(super) fn outbox(&self, version: Version) -> Option<&Outbox> {
        (version == Version::HTTP_11).then_some(&self.interim)
    }

    /// Whether a balancer passes somebody else's connection on, as a PROXY header says.
    pub(super) fn is_passed_on(&self) -> bool {
        self.connection.proxied.is_some() || self.connection.nameless
    }

    /// Of those addresses whose forwarding headers are believed the ones that count on this connection: none, where the
    /// peer is a balancer that does not say whose words it passes on.
    pub(super) fn trusted<'a>(&self, addresses: &'a [IpNet]) -> &'a [IpNet] {
        if self.connection.nameless {
            &[]
        } else {
            addresses
        }
    }
}
