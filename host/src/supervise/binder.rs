//! Binding, and keeping copies for the process that comes after this one: with a parent it keeps them, otherwise they are kept
//! here.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::kept::Kept;
use super::link::Link;
use crate::config::ready::{Config, Listener};
use crate::endpoint::Endpoint;
use crate::life::passed::Passed;
use crate::life::privileges::Account;
use crate::listener::bind::{bind, bind_one};
use crate::listener::unix::{self, Identity};
use crate::socket::listening::Listening;

use files::{Files, still_there};

mod files;
mod going;
mod keeping;

/// The key of the admin listener.
pub const ADMIN: &str = "admin";

/// Where listening sockets come from.
#[derive(Debug, Clone, Default)]
pub struct Binder {
    link: Option<Arc<Link>>,
    files: Arc<Files>,
    /// Those of a service manager.
    passed: Passed,
    /// Those that were bound ahead of their time, and whether they are new.
    ahead: Arc<Mutex<Ahead>>,
    /// What the next process gets, where no parent keeps it.
    own: Arc<Mutex<Kept>>,
}

/// Sockets by the address of their listener, in the order of the listeners.
type Ahead = HashMap<Endpoint, VecDeque<(Vec<Listening>, bool)>>;

/// Stands for the file of a socket that a service manager bound, whose file it is.
const NOT_OURS: Identity = (0, 0);

impl Binder {
    /// With a parent, or without.
    #[must_use]
    pub fn new(link: Option<Arc<Link>>) -> Self {
        Self {
            link,
            ..Self::default()
        }
    }

    /// Takes sockets from a service manager as well.
    #[must_use]
    pub fn with_passed(mut self, passed: Passed) -> Self {
        self.passed = passed;
        self
    }

    /// Binds the listeners of a configuration ahead of their time, while this process may still bind every port. Connections
    /// wait from here on.
    ///
    /// # Errors
    /// The listener that cannot be bound, and what the system said.
    pub fn bind_ahead(
        &self,
        config: &Config,
        account: Option<&Account>,
    ) -> Result<(), Box<(Listener, io::Error)>> {
        for listener in &config.listeners {
            let address = &listener.address;
            let give = |bound: (Vec<Listening>, bool)| {
                self.give(address, account)?;
                Ok(bound)
            };
            let bound = self.bind_now(address, config.workers).and_then(give);
            let bound = bound.map_err(|error| Box::new((listener.clone(), error)))?;
            let mut ahead = self.ahead();
            ahead.entry(address.clone()).or_default().push_back(bound);
        }
        Ok(())
    }

    /// The sockets of one listener: those that were bound ahead, those of the child before, those of a service manager, or new
    /// ones; and whether they are new.
    ///
    /// # Errors
    /// What the system said; somebody else listens there, for example.
    pub fn bind(&self, address: &Endpoint, count: usize) -> io::Result<(Vec<Listening>, bool)> {
        let ahead = self.ahead().get_mut(address).and_then(VecDeque::pop_front);
        ahead.map_or_else(|| self.bind_now(address, count), Ok)
    }

    fn bind_now(&self, address: &Endpoint, count: usize) -> io::Result<(Vec<Listening>, bool)> {
        let inherited = self.inherit(&key(address), count);
        let path = match (&inherited, address) {
            (Some(_), Endpoint::Tcp(_)) => return Ok(self.handed_over(inherited, address)),
            (None, Endpoint::Tcp(tcp)) => {
                if let Some(passed) = self.passed.take(address, count)? {
                    return Ok((passed, true));
                }
                let sockets = bind(*tcp, count)?.into_iter();
                return Ok((sockets.map(Listening::Tcp).collect(), true));
            }
            (_, Endpoint::Unix(path)) => path,
        };
        if inherited.is_some() {
            let bound = self.link.as_ref().and_then(|link| link.bound_file(path));
            if bound == Some(NOT_OURS) {
                // Said again for the process after this one.
                self.keep_file(path, NOT_OURS);
                return Ok(self.handed_over(inherited, address));
            }
            if let Some(file) = still_there(path, bound) {
                self.files.remember(path, file, false);
                return Ok(self.handed_over(inherited, address));
            }
            // Somebody took the file away or put another one there, so that nobody finds the sockets.
            self.release(address);
        }
        if let Some(passed) = self.passed.take(address, count)? {
            return Ok((passed, true));
        }
        let (sockets, file) = unix::bind(path, count)?;
        self.files.remember(path, file, true);
        Ok((sockets.into_iter().map(Listening::Unix).collect(), true))
    }

    /// Gives the file of a socket that was bound here to the user that this process becomes.
    fn give(&self, address: &Endpoint, account: Option<&Account>) -> io::Result<()> {
        match (address, account) {
            (Endpoint::Unix(path), Some(account)) if !self.passed.is_for(address) => {
                account.give(path)
            }
            _ => Ok(()),
        }
    }

    fn ahead(&self) -> MutexGuard<'_, Ahead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The socket of the admin listener.
    ///
    /// # Errors
    /// What the system said.
    pub fn bind_admin(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let inherited = self
            .inherit(ADMIN, 1)
            .and_then(|sockets| sockets.into_iter().next())
            .map(TcpListener::from);
        let fits = |socket: &TcpListener| {
            socket.local_addr().is_ok_and(|own| {
                own.ip() == address.ip() && (address.port() == 0 || own.port() == address.port())
            })
        };
        if let Some(socket) = inherited.filter(fits) {
            if self.parent().is_none() {
                self.keep_under(ADMIN, std::iter::once(&socket));
            }
            return Ok(socket);
        }
        if let Some(link) = self.parent() {
            link.forget(ADMIN);
        }
        let passed = self.passed.take(&Endpoint::Tcp(address), 1)?;
        let passed = passed.and_then(|sockets| sockets.into_iter().find_map(Listening::into_tcp));
        let socket = passed.map_or_else(|| bind_one(address), Ok)?;
        self.keep_under(ADMIN, std::iter::once(&socket));
        Ok(socket)
    }

    /// In an upgrade: waits until this process is to accept.
    ///
    /// # Errors
    /// It must not: less could be served than now, or the supervising process is gone.
    pub async fn turn(&self, degraded: &[String]) -> Result<(), String> {
        let Some(link) = &self.link else {
            return Ok(());
        };
        let before = link.degraded_before();
        let worse = degraded.iter().find(|reason| !before.contains(reason));
        if let (Some(reason), Some(_)) = (worse, link.replaces()) {
            return Err(format!(
                "less could be served than before the upgrade: {reason}; mend it, or restart the gateway"
            ));
        }
        link.turn().await.map_err(|error| error.to_string())
    }

    /// Whether this process follows one that served and crashed.
    #[must_use]
    pub fn is_again(&self) -> bool {
        self.link
            .as_ref()
            .is_some_and(|link| link.served_before() > 0 && link.replaces().is_none())
    }

    /// Whether a parent starts another process when this one ends.
    #[must_use]
    pub fn is_supervised(&self) -> bool {
        self.parent().is_some()
    }

    /// What a child before kept. A group of another size cannot be: the workers of a supervised gateway are as many as
    /// those of its first child.
    fn inherit(&self, key: &str, count: usize) -> Option<Vec<OwnedFd>> {
        self.link.as_ref()?.inherit(key, count)
    }

    fn handed_over(
        &self,
        sockets: Option<Vec<OwnedFd>>,
        address: &Endpoint,
    ) -> (Vec<Listening>, bool) {
        let sockets = sockets.into_iter().flatten();
        let sockets = sockets.map(|socket| Listening::handed_over(socket, address));
        let sockets: Vec<Listening> = sockets.collect();
        if self.parent().is_none() {
            // The process before keeps its copies for itself.
            self.keep(address, sockets.iter());
        }
        (sockets, false)
    }

    /// The process that supervises this one, which keeps everything.
    fn parent(&self) -> Option<&Link> {
        self.link.as_deref().filter(|link| link.is_supervised())
    }

    fn own(&self) -> MutexGuard<'_, Kept> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(address: &Endpoint) -> String {
    address.to_string()
}
