//! Binding, with and without a parent that keeps copies.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use super::link::Link;
use crate::config::ready::Config;
use crate::endpoint::Endpoint;
use crate::listener::bind::{bind, bind_one};

/// The key of the admin listener.
pub const ADMIN: &str = "admin";

/// Where listening sockets come from.
#[derive(Debug, Clone, Default)]
pub struct Binder(Option<Arc<Link>>);

impl Binder {
    /// With a parent, or without.
    #[must_use]
    pub fn new(link: Option<Arc<Link>>) -> Self {
        Self(link)
    }

    /// The sockets of one listener: those of the child before, or new ones; and whether they are new.
    ///
    /// # Errors
    /// What the system said; somebody else listens there, for example.
    pub fn bind(&self, address: &Endpoint, count: usize) -> io::Result<(Vec<TcpListener>, bool)> {
        let Endpoint::Tcp(tcp) = address else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        match self.inherit(&key(address), count) {
            Some(sockets) => Ok((sockets, false)),
            None => Ok((bind(*tcp, count)?, true)),
        }
    }

    /// The socket of the admin listener.
    ///
    /// # Errors
    /// What the system said.
    pub fn bind_admin(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let inherited = self
            .inherit(ADMIN, 1)
            .and_then(|sockets| sockets.into_iter().next());
        let fits = |socket: &TcpListener| {
            socket.local_addr().is_ok_and(|own| {
                own.ip() == address.ip() && (address.port() == 0 || own.port() == address.port())
            })
        };
        if let Some(socket) = inherited.filter(fits) {
            return Ok(socket);
        }
        if let Some(link) = &self.0 {
            link.forget(ADMIN);
        }
        let socket = bind_one(address)?;
        self.keep_under(ADMIN, std::iter::once(&socket));
        Ok(socket)
    }

    /// Has the parent keep copies of the sockets of a listener that were bound here.
    pub fn keep<'a>(&self, address: &Endpoint, sockets: impl Iterator<Item = &'a TcpListener>) {
        self.keep_under(&key(address), sockets);
    }

    /// Says that a listener goes: from here on only this process holds its sockets, and takes what waits in their queues.
    pub fn release(&self, address: &Endpoint) {
        if let Some(link) = &self.0 {
            link.forget(&key(address));
        }
    }

    /// Says that all of them go.
    pub fn release_all(&self) {
        if let Some(link) = &self.0 {
            link.forget_all();
        }
    }

    /// Has the parent keep the text of the configuration that serves now.
    pub fn keep_text(&self, text: &str) {
        if let Some(link) = &self.0 {
            link.keep_text(text);
        }
    }

    /// Whether this process follows one that served and crashed.
    #[must_use]
    pub fn is_again(&self) -> bool {
        self.0.as_ref().is_some_and(|link| link.served_before() > 0)
    }

    /// After how long a worker that stands still is ended: only where a parent starts another process.
    #[must_use]
    pub fn hung(&self, config: &Config) -> Option<Duration> {
        self.0.as_ref().map(|_| config.faults.hung)
    }

    /// What a child before kept. A group of another size cannot be: the workers of a supervised gateway are as many as
    /// those of its first child.
    fn inherit(&self, key: &str, count: usize) -> Option<Vec<TcpListener>> {
        self.0.as_ref()?.inherit(key, count)
    }

    fn keep_under<'a>(&self, key: &str, sockets: impl Iterator<Item = &'a TcpListener>) {
        let Some(link) = &self.0 else {
            return;
        };
        if let Err(error) = link.keep(key, sockets) {
            tracing::warn!(target: "control", %error, "the supervising process cannot keep the sockets of {key}; after a crash they are bound anew");
        }
    }
}

fn key(address: &Endpoint) -> String {
    address.to_string()
}
