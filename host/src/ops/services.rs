//! What all plugins of a process share: values, pools of threads, and whom they may call. It outlives swaps and reloads.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use super::blocking::{Bounds, Pool};
use super::directory::{Called, Directory};
use super::kv::{Monotonic, Store};
use super::resolve::Resolver;
use crate::config::ready::Config;
use crate::discovery::Known;
use crate::tls::{Material, client};

/// What all plugins of a process share.
pub struct Services {
    /// Values that outlive swaps.
    pub kv: Arc<Store>,
    /// Threads for what takes long.
    pub blocking: Arc<Pool>,
    /// Looks names up.
    pub resolver: Resolver,
    directory: RwLock<Directories>,
}

#[derive(Default)]
struct Directories {
    now: Arc<Directory>,
    /// That of a configuration on its way: instances that it starts may call what it brings.
    next: Option<Arc<Directory>>,
}

impl Services {
    /// What a configuration asks for. No thread runs before it is needed. Services whose targets speak TLS can be called
    /// once it is adopted with what was made of its files.
    #[must_use]
    pub fn new(config: &Config) -> Arc<Self> {
        let services = Self::with(
            config.kv.memory,
            Bounds {
                threads: config.blocking.threads,
                queue: config.blocking.queue,
            },
        );
        services.adopt(config, &Material::default(), &Known::default());
        services
    }

    /// With nobody to call: for preflights and tests.
    #[must_use]
    pub fn with(kv_memory: u64, blocking: Bounds) -> Arc<Self> {
        Arc::new(Self {
            kv: Store::new(kv_memory, Monotonic),
            blocking: Pool::new("blocking", blocking),
            resolver: Resolver::default(),
            directory: RwLock::default(),
        })
    }

    /// A configuration is being tried: what it brings can be called besides.
    pub fn prepare(&self, config: &Config, material: &Material, known: &Known) {
        read_system(config);
        self.directories().next = Some(Arc::new(Directory::of(config, material, known)));
    }

    /// It was refused.
    pub fn withdraw(&self) {
        self.directories().next = None;
    }

    /// A configuration serves from now on.
    pub fn adopt(&self, config: &Config, material: &Material, known: &Known) {
        read_system(config);
        self.kv.set_memory(config.kv.memory);
        self.blocking.set_bounds(Bounds {
            threads: config.blocking.threads,
            queue: config.blocking.queue,
        });
        *self.directories() = Directories {
            now: Arc::new(Directory::of(config, material, known)),
            next: None,
        };
    }

    /// A service by its name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<Arc<Called>> {
        self.ask(|directory| directory.service(name).map(Arc::clone))
    }

    /// Whether a host, as it stands in a URL, may be called at a port, in TLS or without.
    #[must_use]
    pub fn admits(&self, tls: bool, host: &str, port: u16) -> bool {
        let admits = |directory: &Directory| directory.allow.admits(tls, host, port).then_some(());
        self.ask(admits).is_some()
    }

    /// The answer of the configuration that serves, or else of the one on its way.
    fn ask<T>(&self, question: impl Fn(&Directory) -> Option<T>) -> Option<T> {
        let seen = self
            .directory
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        question(&seen.now).or_else(|| seen.next.as_deref().and_then(question))
    }

    fn directories(&self) -> RwLockWriteGuard<'_, Directories> {
        self.directory
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Before anybody can call a host in TLS: no worker is to wait for the disk.
fn read_system(config: &Config) {
    if !config.callouts.allow.is_empty() {
        client::read_system();
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Services(..)")
    }
}
