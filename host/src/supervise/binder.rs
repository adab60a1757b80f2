//! Binding, and keeping copies for the process that comes after this one: with a parent it keeps them, otherwise they are kept
//! here.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::kept::{self, Kept};
use super::link::{CONFIG, DEGRADED, Link, file_of};
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
    /// What the next process gets, where no parent keeps it.
    own: Arc<Mutex<Kept>>,
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

    fn forget_all(&self) {
        self.lock().clear();
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

    /// Has the parent keep copies of the sockets of a listener that were bound here.
    pub fn keep<'a>(&self, address: &Endpoint, sockets: impl Iterator<Item = &'a Listening>) {
        self.keep_under(&key(address), sockets);
        let Endpoint::Unix(path) = address else {
            return;
        };
        let bound = self.files.lock().get(path).map(|one| one.file.identity());
        let passed = || self.passed.is_for(address).then_some(NOT_OURS);
        if let Some(file) = bound.or_else(passed) {
            self.keep_file(path, file);
        }
    }

    /// Says that a listener goes: from here on only this process holds its sockets, and takes what waits in their queues.
    pub fn release(&self, address: &Endpoint) {
        if let Endpoint::Unix(path) = address {
            self.files.remove(path);
        }
        let mut keys = vec![key(address)];
        if let Endpoint::Unix(path) = address {
            keys.push(file_of(path));
        }
        for key in &keys {
            match self.parent() {
                Some(link) => link.forget(key),
                None => self.own().forget(key),
            }
        }
    }

    /// Says that all of them go.
    pub fn release_all(&self) {
        self.passed.close();
        self.files.remove_all();
        match self.parent() {
            Some(link) => link.forget_all(),
            None => self.own().clear(),
        }
    }

    /// Says that another process accepts from all of them now: nothing of them is taken away.
    pub fn hand_over_all(&self) {
        self.passed.close();
        self.files.forget_all();
        match self.parent() {
            Some(link) => link.forget_all(),
            None => self.own().clear(),
        }
    }

    /// Leaves the files of Unix sockets where they are, for the process that comes next and gets the sockets.
    pub fn leave_files(&self) {
        self.files.forget_all();
    }

    /// Keeps the text of the configuration that serves now, for the case that the file is wrong when a process after a crash
    /// starts: as the file says it, without what its references lead to.
    pub fn keep_text(&self, text: &str) {
        if let Some(link) = self.parent()
            && let Err(error) = link.keep_text(CONFIG.to_owned(), text)
        {
            tracing::warn!(target: "control", %error, "the supervising process cannot keep the configuration; after a crash the file must be right");
        }
    }

    /// Keeps that text for the last time: this process gives up privileges that the next one begins with, so that what it
    /// serves later has no say in what that one does.
    ///
    /// # Errors
    /// The supervising process is gone.
    pub fn keep_last_text(&self, text: &str) -> io::Result<()> {
        let Some(link) = self.parent() else {
            return Ok(());
        };
        self.keep_text(text);
        link.drops()
    }

    /// Keeps what cannot be served now: a process that takes over must not serve less.
    pub fn keep_degraded(&self, degraded: &[String]) {
        let text = serde_json::json!(degraded).to_string();
        let kept = match self.parent() {
            Some(link) => link.keep_text(DEGRADED.to_owned(), &text),
            None => self.keep_own_text(DEGRADED.to_owned(), &text),
        };
        if let Err(error) = kept {
            tracing::debug!(target: "control", %error, "an upgrade goes by what can be served now");
        }
    }

    /// Closes the copies that are kept here. A worker is lost, and while anybody has its sockets the system gives them
    /// connections that nobody accepts; what takes over later binds anew.
    pub fn let_go(&self) {
        if self.parent().is_none() {
            self.own().clear();
        }
    }

    /// Says how long a process that takes over may need to be ready.
    pub fn keep_limit(&self, limit: Duration) {
        if let Some(link) = self.parent() {
            link.keep_limit(limit);
        }
    }

    /// What the next process gets from this one.
    ///
    /// # Errors
    /// The system gives no more descriptors.
    pub fn copies(&self) -> io::Result<Kept> {
        self.own().try_clone()
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

    fn keep_under<'a, S: AsFd + 'a>(&self, key: &str, sockets: impl Iterator<Item = &'a S>) {
        let kept = match self.parent() {
            Some(link) => link.keep(key, sockets),
            None => self.keep_own(key, sockets),
        };
        if let Err(error) = kept {
            tracing::warn!(target: "control", %error, "no copy can be kept of the sockets of {key}; after a crash or an upgrade they are bound anew");
        }
    }

    fn keep_own<'a, S: AsFd + 'a>(
        &self,
        key: &str,
        sockets: impl Iterator<Item = &'a S>,
    ) -> io::Result<()> {
        let copies = sockets.map(|socket| socket.as_fd().try_clone_to_owned());
        let copies = copies.collect::<io::Result<_>>()?;
        self.own().add(key.to_owned(), copies);
        Ok(())
    }

    fn keep_own_text(&self, key: String, text: &str) -> io::Result<()> {
        self.own().replace(key, vec![kept::text(text)?]);
        Ok(())
    }

    fn keep_file(&self, path: &Path, file: Identity) {
        if let Some(link) = self.parent() {
            return link.keep_bound_file(path, file);
        }
        let text = serde_json::json!(file).to_string();
        if let Err(error) = self.keep_own_text(file_of(path), &text) {
            let path = path.display();
            tracing::debug!(target: "control", %error, "after an upgrade any socket at {path} is taken for the own one");
        }
    }

    /// The process that supervises this one, which keeps everything.
    fn parent(&self) -> Option<&Link> {
        self.link.as_deref().filter(|link| link.is_supervised())
    }

    fn own(&self) -> MutexGuard<'_, Kept> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file of sockets that were handed over, if it is the one that lies there.
fn still_there(path: &Path, bound: Option<Identity>) -> Option<File> {
    let file = File::of(path).filter(|_| unix::is_there(path))?;
    // Where nobody could say which file it was, any socket has to do.
    let same = bound.is_none_or(|bound| bound == file.identity());
    same.then_some(file)
}

fn key(address: &Endpoint) -> String {
    address.to_string()
}
