//! TLS: from files that a configuration names to what a handshake needs.
//!
//! Files are read on the control side, whenever a change is built. Workers get what was made of them and open no file.
//!
//! - [`files`]: reads the files, and sees whether they have changed since;
//! - [`pem`]: certificates and keys, or what stands there instead; [`facts`]: what a certificate says;
//!   [`ocsp`]: what its authority says of it;
//! - [`server`]: what a listener shows its clients, and [`choice`] which certificate to whom; [`sessions`]: resumption;
//!   [`shown`]: what an operator should know of it;
//! - [`client`]: what targets are shown and which are believed, and [`reason`] why one is not.

pub mod choice;
pub mod client;
pub mod facts;
pub mod files;
pub mod ocsp;
pub mod pem;
pub mod reason;
pub mod server;
pub mod sessions;
pub mod shown;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::config::ConfigError;
use crate::config::ready::Config;
use client::ClientTls;
use facts::Moment;
use files::Reader;
use server::Server;
use sessions::Sessions;
use shown::{Expiry, Shown};

/// What all files of one configuration came to.
#[derive(Debug, Clone, Default)]
pub struct Material {
    /// By the name of the listener.
    listeners: HashMap<Arc<str>, Server>,
    /// By the name of the upstream.
    upstreams: HashMap<Arc<str>, Arc<ClientTls>>,
}

impl Material {
    /// Makes what is needed of every file that a configuration names; the reader knows the files afterwards, also those
    /// that cannot be used.
    ///
    /// # Errors
    /// Every file that cannot be used, by the place where it is named.
    pub fn load(
        config: &Config,
        reader: &mut Reader,
        sessions: &mut Sessions,
    ) -> Result<Self, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut listeners = HashMap::new();
        let mut upstreams = HashMap::new();
        for listener in &config.listeners {
            let Some(tls) = &listener.tls else { continue };
            match server::build(listener, tls, reader, sessions) {
                Ok(built) => {
                    listeners.insert(Arc::clone(&listener.name), built);
                }
                Err(flaws) => errors.extend(flaws),
            }
        }
        for upstream in &config.upstreams {
            let Some(tls) = &upstream.tls else { continue };
            match ClientTls::build(tls, upstream.protocol, reader) {
                Ok(built) => {
                    upstreams.insert(Arc::clone(&upstream.name), Arc::new(built));
                }
                Err(flaws) => errors.extend(flaws),
            }
        }
        if errors.is_empty() {
            Ok(Self {
                listeners,
                upstreams,
            })
        } else {
            errors.sort_by_key(|error| (error.place.line, error.place.column));
            Err(errors)
        }
    }

    /// What the listener of that name shows its clients.
    #[must_use]
    pub fn listener(&self, name: &str) -> Option<&Server> {
        self.listeners.get(name)
    }

    /// What an operator should know now, each in one sentence, in a fixed order.
    #[must_use]
    pub fn warnings(&self, now: Moment) -> Vec<String> {
        let all = self.all().flat_map(|(_, shown)| shown.warnings(now));
        let mut warnings: Vec<String> = all.collect();
        warnings.sort_unstable();
        warnings.dedup();
        warnings
    }

    /// Whether something is shown that was good when it was read and is not any more.
    #[must_use]
    pub fn is_due(&self, read: Moment, now: Moment) -> bool {
        self.all()
            .any(|(_, shown)| shown.is_stapled(read) != shown.is_stapled(now))
    }

    /// What `/status` says of the listener of that name.
    #[must_use]
    pub fn document(&self, listener: &str) -> Option<Value> {
        let server = self.listeners.get(listener)?;
        Some(server.shown.iter().map(Shown::document).collect())
    }

    /// When the certificates end, by listener and name; of several with the same name, the first to end.
    #[must_use]
    pub fn expiries(&self) -> Vec<Expiry> {
        let mut expiries: Vec<Expiry> = self
            .all()
            .map(|(listener, shown)| Expiry {
                listener: listener.to_owned(),
                name: shown.name(),
                unix_s: shown.facts.not_after.unix_s,
            })
            .collect();
        let key = |one: &Expiry| (one.listener.clone(), one.name.clone());
        expiries.sort_by_key(|one| (key(one), one.unix_s));
        expiries.dedup_by(|later, first| key(later) == key(first));
        expiries
    }

    /// What the sessions of its listeners satisfied.
    #[must_use]
    pub fn policies(&self) -> Vec<&sessions::Policy> {
        let servers = self.listeners.values();
        servers.map(|server| &server.policy).collect()
    }

    fn all(&self) -> impl Iterator<Item = (&str, &Shown)> {
        let listeners = self.listeners.iter();
        listeners.flat_map(|(name, server)| server.shown.iter().map(|one| (&**name, one)))
    }

    /// How the targets of the upstream of that name are spoken to.
    #[must_use]
    pub fn upstream(&self, name: &str) -> Option<&Arc<ClientTls>> {
        self.upstreams.get(name)
    }
}
