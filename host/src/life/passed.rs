//! Listening sockets that a service manager passed, and which listener each is for.
//!
//! One belongs to the listener at its address, or else to the one whose name it bears (`FileDescriptorName=`). All workers
//! share it, each by a descriptor of its own: groups with `SO_REUSEPORT` can only be made by whoever bound the first of them.
//! The service manager keeps its own descriptor, so nothing here ever ends a queue, and the file of a Unix socket is not ours.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::net::SocketType;
use rustix::net::sockopt::{ipv6_v6only, socket_acceptconn, socket_type};
use socket2::{SockAddr, SockRef};

use crate::config::ready::Config;
use crate::endpoint::Endpoint;
use crate::socket::listening::Listening;

/// The name of a socket for the admin listener.
const ADMIN: &str = "admin";

/// Sockets that were passed; each is kept, so that a listener that goes and comes back finds it again.
#[derive(Debug, Clone, Default)]
pub struct Passed(Arc<Mutex<Vec<One>>>);

#[derive(Debug)]
struct One {
    name: String,
    address: Endpoint,
    socket: OwnedFd,
    /// A dual-stack socket of all addresses takes those of IPv4 as well.
    both: bool,
    /// The listener that it was found for.
    found: bool,
}

impl Passed {
    /// Takes those that can be listened on; what else was passed is told and closed.
    #[must_use]
    pub fn new(sockets: Vec<(String, OwnedFd)>) -> Self {
        let usable = sockets.into_iter().filter_map(|(name, socket)| {
            let one = One::new(name.clone(), socket);
            one.inspect_err(|error| {
                tracing::warn!(target: "control", "the descriptor that was passed as {name:?} is closed: {error}; have the socket unit say ListenStream=");
            })
            .ok()
        });
        Self(Arc::new(Mutex::new(usable.collect())))
    }

    /// Gives the names of listeners of this configuration their addresses, and closes what none of them is for.
    pub fn settle(&self, config: &Config) {
        let mut all = self.all();
        let admin = Endpoint::Tcp(config.admin.address);
        let listeners = config.listeners.iter();
        let mut wanted: Vec<(&str, &Endpoint)> =
            listeners.map(|one| (&*one.name, &one.address)).collect();
        wanted.push((ADMIN, &admin));
        for exactly in [true, false] {
            for (_, address) in &wanted {
                let fit = all.iter_mut().filter(|one| one.fits(address, exactly));
                fit.for_each(|one| one.found_for(address));
            }
        }
        for (name, address) in wanted {
            let is_there = all.iter().any(|one| one.found && one.address == *address);
            let named = |one: &&mut One| !one.found && one.name == name && one.is_like(address);
            if let Some(one) = all.iter_mut().find(named).filter(|_| !is_there) {
                tracing::info!(target: "control", "listener {name} takes the socket that was passed under its name, which is bound to {one}");
                one.found_for(address);
            }
        }
        all.retain(|one| {
            if !one.found {
                tracing::warn!(target: "control", "the socket that was passed as {:?} is closed, for no listener has its address {one} or its name; give a listener that address, or have the socket unit say FileDescriptorName= with the name of one", one.name);
            }
            one.found
        });
    }

    /// So many descriptors of the sockets for an address; none: there are none.
    ///
    /// # Errors
    /// The system gives no more descriptors.
    pub fn take(&self, address: &Endpoint, count: usize) -> io::Result<Option<Vec<Listening>>> {
        let all = self.all();
        let fit: Vec<&One> = all.iter().filter(|one| one.address == *address).collect();
        if fit.is_empty() {
            return Ok(None);
        }
        if fit.len() > count {
            tracing::warn!(target: "control", "{} sockets were passed for {address}, and {count} workers accept from as many of them; have the service manager pass one", fit.len());
        }
        let shared = fit.iter().cycle().take(count);
        let shared = shared.map(|one| one.share()).collect::<io::Result<_>>()?;
        Ok(Some(shared))
    }

    /// Whether there is one for an address.
    #[must_use]
    pub fn is_for(&self, address: &Endpoint) -> bool {
        self.all().iter().any(|one| one.address == *address)
    }

    /// Closes all of them: others accept from here on, or nobody.
    pub fn close(&self) {
        self.all().clear();
    }

    /// The sockets with their names, for the process that listens on them.
    #[must_use]
    pub fn into_sockets(self) -> Vec<(String, OwnedFd)> {
        let all = std::mem::take(&mut *self.all());
        all.into_iter().map(|one| (one.name, one.socket)).collect()
    }

    fn all(&self) -> MutexGuard<'_, Vec<One>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl One {
    fn new(name: String, socket: OwnedFd) -> io::Result<Self> {
        let is_stream = socket_type(&socket)? == SocketType::STREAM;
        if !is_stream || !socket_acceptconn(&socket)? {
            return Err(io::Error::other(
                "it is no socket that waits for connections",
            ));
        }
        rustix::io::ioctl_fionbio(&socket, true)?;
        let bound = SockRef::from(&socket).local_addr()?;
        let address = endpoint(&bound)
            .ok_or_else(|| io::Error::other("it is of no kind that a listener can have"))?;
        let both = bound.is_ipv6() && !ipv6_v6only(&socket)?;
        Ok(Self {
            name,
            address,
            socket,
            both,
            found: false,
        })
    }

    fn fits(&self, wanted: &Endpoint, exactly: bool) -> bool {
        let any = |ip: IpAddr| ip.is_unspecified();
        match (&self.address, wanted) {
            _ if self.found => false,
            (own, wanted) if exactly => own == wanted,
            (Endpoint::Tcp(own), Endpoint::Tcp(wanted)) => {
                self.both && any(own.ip()) && any(wanted.ip()) && own.port() == wanted.port()
            }
            _ => false,
        }
    }

    fn is_like(&self, wanted: &Endpoint) -> bool {
        self.address.tcp().is_some() == wanted.tcp().is_some()
    }

    fn found_for(&mut self, address: &Endpoint) {
        self.found = true;
        self.address = address.clone();
    }

    fn share(&self) -> io::Result<Listening> {
        let copy = self.socket.as_fd().try_clone_to_owned()?;
        Ok(Listening::handed_over(copy, &self.address))
    }
}

impl fmt::Display for One {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

fn endpoint(bound: &SockAddr) -> Option<Endpoint> {
    let tcp: Option<SocketAddr> = bound.as_socket();
    let unix = || {
        bound
            .as_pathname()
            .filter(|path| !path.as_os_str().as_bytes().is_empty())
    };
    tcp.map(Endpoint::Tcp)
        .or_else(|| unix().map(|path: &Path| Endpoint::Unix(path.into())))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::config::{self, Source, System};

    fn config(listeners: &str) -> Config {
        let text = format!(
            "format: 1\nlisteners: [{listeners}]\nadmin: {{address: \"127.0.0.1:0\"}}\nplugins_dir: p\nstate_dir: s\nroutes: []\n"
        );
        let source = Source::of(Path::new("/gate.yaml"), text);
        config::load(&source, &System).expect("a good configuration")
    }

    #[test]
    fn by_address_first_and_then_by_name() {
        let (one, two) = (
            TcpListener::bind("127.0.0.1:0"),
            TcpListener::bind("127.0.0.1:0"),
        );
        let (one, two) = (one.unwrap(), two.unwrap());
        let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = one.local_addr().unwrap();
        let config = config(&format!(
            "{{name: a, address: \"{address}\"}}, {{name: b, address: \"127.0.0.1:0\"}}"
        ));
        let second = two.local_addr().unwrap();
        let passed = Passed::new(vec![
            ("b".to_owned(), two.into()),
            ("b".to_owned(), one.into()),
            ("c".to_owned(), stranger.into()),
        ]);
        passed.settle(&config);
        let mut found = config.listeners.iter().map(|listener| {
            let sockets = passed.take(&listener.address, 3).unwrap().unwrap();
            (sockets.len(), sockets[0].address())
        });
        assert_eq!(found.next(), Some((3, Some(address))));
        assert_eq!(found.next(), Some((3, Some(second))));
        assert_eq!(passed.into_sockets().len(), 2, "the stranger is closed");
    }

    #[test]
    fn one_of_the_file_system_and_one_that_takes_both_kinds_of_addresses() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.sock");
        let unix = UnixListener::bind(&path).unwrap();
        let both = TcpListener::bind("[::]:0").unwrap();
        let port = both.local_addr().unwrap().port();
        let passed = Passed::new(vec![
            (String::new(), unix.into()),
            (String::new(), both.into()),
        ]);
        passed.settle(&config(&format!(
            "{{name: a, address: \"unix:{}\"}}, {{name: b, address: \"0.0.0.0:{port}\"}}",
            path.display()
        )));
        let unix = Endpoint::Unix(path.as_path().into());
        assert!(passed.is_for(&unix));
        assert!(passed.is_for(&SocketAddr::from(([0, 0, 0, 0], port)).into()));
    }

    #[test]
    fn what_does_not_listen_is_none() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let passed = Passed::new(vec![(String::new(), socket.into())]);
        assert_eq!(passed.into_sockets().len(), 0);
    }
}
