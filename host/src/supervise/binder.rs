//! Binding, with and without a parent that keeps copies.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::link::Link;
use crate::config::ready::Config;
use crate::endpoint::Endpoint;
use crate::listener::bind::{bind, bind_one};
use crate::listener::unix::{self, File};
use crate::socket::listening::Listening;

/// The key of the admin listener.
pub const ADMIN: &str = "admin";

/// Where listening sockets come from.
#[derive(Debug, Clone, Default)]
pub struct Binder {
    link: Option<Arc<Link>>,
    files: Arc<Files>,
}

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
            files: Arc::default(),
        }
    }

    /// The sockets of one listener: those of the child before, or new ones; and whether they are new.
    ///
    /// # Errors
    /// What the system said; somebody else listens there, for example.
    pub fn bind(&self, address: &Endpoint, count: usize) -> io::Result<(Vec<Listening>, bool)> {
        let inherited = self.inherit(&key(address), count);
        let path = match (&inherited, address) {
            (Some(_), Endpoint::Tcp(_)) => return Ok(handed_over(inherited, address)),
            (None, Endpoint::Tcp(tcp)) => {
                let sockets = bind(*tcp, count)?.into_iter();
                return Ok((sockets.map(Listening::Tcp).collect(), true));
            }
            (_, Endpoint::Unix(path)) => path,
        };
        if inherited.is_some() {
            if let Some(file) = self.still_there(path) {
                self.files.remember(path, file, false);
                return Ok(handed_over(inherited, address));
            }
            // Somebody took the file away or put another one there, so that nobody finds the sockets.
            self.release(address);
        }
        let (sockets, file) = unix::bind(path, count)?;
        self.files.remember(path, file, true);
        Ok((sockets.into_iter().map(Listening::Unix).collect(), true))
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
        let socket = bind_one(address)?;
        self.keep_under(ADMIN, std::iter::once(&socket));
        Ok(socket)
    }

    /// Has the parent keep copies of the sockets of a listener that were bound here.
    pub fn keep<'a>(&self, address: &Endpoint, sockets: impl Iterator<Item = &'a Listening>) {
        self.keep_under(&key(address), sockets);
        if let (Endpoint::Unix(path), Some(link)) = (address, &self.link)
            && let Some(one) = self.files.lock().get(path)
        {
            link.keep_bound_file(path, one.file.identity());
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

    /// After how long a worker that stands still is ended: only where a parent starts another process.
    #[must_use]
    pub fn hung(&self, config: &Config) -> Option<Duration> {
        self.link.as_ref().map(|_| config.faults.hung)
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
