//! Binding, with and without a parent that keeps copies.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::link::Link;
use crate::config::ready::{Config, Listener};
use crate::endpoint::Endpoint;
use crate::life::passed::Passed;
use crate::life::privileges::Account;
use crate::listener::bind::{bind, bind_one};
use crate::listener::unix::{self, File, Identity};
use crate::socket::listening::Listening;

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
}

/// Sockets by the address of their listener, in the order of the listeners.
type Ahead = HashMap<Endpoint, VecDeque<(Vec<Listening>, bool)>>;

/// Stands for the file of a socket that a service manager bound, whose file it is.
const NOT_OURS: Identity = (0, 0);

/// The files of Unix sockets that this process bound or was handed over. What is left of its own goes with the last holder:
/// a process that crashes has no time for that, and the next one goes on with them. One that was handed over goes on purpose
/// only, because a process that cannot start may be followed by one that can.
#[derive(Debug, Default)]
struct Files(Mutex<HashMap<Arc<Path>, Remembered>>);

#[derive(Debug)]
struct Remembered {
    file: File,
    /// This process bound it.
    own: bool,
}

impl Files {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<Path>, Remembered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, path: &Arc<Path>, file: File, own: bool) {
        let remembered = Remembered { file, own };
        self.lock().insert(Arc::clone(path), remembered);
    }

    fn remove(&self, path: &Path) {
        if let Some(one) = self.lock().remove(path) {
            one.file.remove();
        }
    }

    fn remove_all(&self) {
        self.lock().drain().for_each(|(_, one)| one.file.remove());
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.lock().retain(|_, one| one.own);
            self.remove_all();
        }
    }
}

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
            (Some(_), Endpoint::Tcp(_)) => return Ok(handed_over(inherited, address)),
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
            if self.is_not_ours(path) {
                return Ok(handed_over(inherited, address));
            }
            if let Some(file) = self.still_there(path) {
                self.files.remember(path, file, false);
                return Ok(handed_over(inherited, address));
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

    /// Whether the file of sockets that were handed over belongs to a service manager.
    fn is_not_ours(&self, path: &Path) -> bool {
        let bound = self.link.as_ref().and_then(|link| link.bound_file(path));
        bound == Some(NOT_OURS)
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

    /// The file of sockets that were handed over, if it is the one that lies there.
    fn still_there(&self, path: &Path) -> Option<File> {
        let bound = self.link.as_ref()?.bound_file(path);
        let file = File::of(path).filter(|_| unix::is_there(path))?;
        // Where nobody could say which file it was, any socket has to do.
        let same = bound.is_none_or(|bound| bound == file.identity());
        same.then_some(file)
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
            return Ok(socket);
        }
        if let Some(link) = &self.link {
            link.forget(ADMIN);
        }
        let passed = self.passed.take(&Endpoint::Tcp(address), 1)?;
        let passed = passed.and_then(|sockets| sockets.into_iter().find_map(Listening::into_tcp));
        let socket = passed.map_or_else(|| bind_one(address), Ok)?;
        self.keep_under(ADMIN, std::iter::once(&socket));
        Ok(socket)
    }

    /// Has the parent keep copies of the sockets of a listener that were bound here.
    pub fn keep<'a>(&self, address: &Endpoint, sockets: impl Iterator<Item = &'a Listening>) {
        self.keep_under(&key(address), sockets);
        let (Endpoint::Unix(path), Some(link)) = (address, &self.link) else {
            return;
        };
        if let Some(one) = self.files.lock().get(path) {
            link.keep_bound_file(path, one.file.identity());
        } else if self.passed.is_for(address) {
            link.keep_bound_file(path, NOT_OURS);
        }
    }

    /// Says that a listener goes: from here on only this process holds its sockets, and takes what waits in their queues.
    pub fn release(&self, address: &Endpoint) {
        if let Endpoint::Unix(path) = address {
            self.files.remove(path);
        }
        if let Some(link) = &self.link {
            link.forget(&key(address));
            if let Endpoint::Unix(path) = address {
                link.forget_bound_file(path);
            }
        }
    }

    /// Says that all of them go.
    pub fn release_all(&self) {
        self.passed.close();
        self.files.remove_all();
        if let Some(link) = &self.link {
            link.forget_all();
        }
    }

    /// Has the parent keep the text of the configuration that serves now.
    pub fn keep_text(&self, text: &str) {
        if let Some(link) = &self.link {
            link.keep_text(text);
        }
    }

    /// Whether this process follows one that served and crashed.
    #[must_use]
    pub fn is_again(&self) -> bool {
        self.link
            .as_ref()
            .is_some_and(|link| link.served_before() > 0)
    }

    /// Whether a parent starts another process when this one ends.
    #[must_use]
    pub fn is_supervised(&self) -> bool {
        self.link.is_some()
    }

    /// What a child before kept. A group of another size cannot be: the workers of a supervised gateway are as many as
    /// those of its first child.
    fn inherit(&self, key: &str, count: usize) -> Option<Vec<OwnedFd>> {
        self.link.as_ref()?.inherit(key, count)
    }

    fn keep_under<'a, S: AsFd + 'a>(&self, key: &str, sockets: impl Iterator<Item = &'a S>) {
        let Some(link) = &self.link else {
            return;
        };
        if let Err(error) = link.keep(key, sockets) {
            tracing::warn!(target: "control", %error, "the supervising process cannot keep the sockets of {key}; after a crash they are bound anew");
        }
    }
}

fn handed_over(sockets: Option<Vec<OwnedFd>>, address: &Endpoint) -> (Vec<Listening>, bool) {
    let sockets = sockets.into_iter().flatten();
    let sockets = sockets.map(|socket| Listening::handed_over(socket, address));
    (sockets.collect(), false)
}

fn key(address: &Endpoint) -> String {
    address.to_string()
}
