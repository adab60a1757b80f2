//! TLS: from files that a configuration names to what a handshake needs.
//!
//! Files are read on the control side, whenever a change is built. Workers get what was made of them and open no file.

pub mod choice;
pub mod server;

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::ConfigError;
use crate::config::ready::Config;

/// What all files of one configuration came to.
#[derive(Debug, Clone, Default)]
pub struct Material {
    /// By the name of the listener.
    listeners: HashMap<Arc<str>, Arc<rustls::ServerConfig>>,
}

impl Material {
    /// Reads every file that a configuration names.
    ///
    /// # Errors
    /// Every file that cannot be used, by the place where it is named.
    pub fn load(config: &Config) -> Result<Self, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut listeners = HashMap::new();
        for listener in &config.listeners {
            let Some(tls) = &listener.tls else { continue };
            match server::build(tls, listener.protocols) {
                Ok(built) => {
                    listeners.insert(Arc::clone(&listener.name), built);
                }
                Err(flaws) => errors.extend(flaws),
            }
        }
        if errors.is_empty() {
            Ok(Self { listeners })
        } else {
            Err(errors)
        }
    }

    /// What the listener of that name shows its clients.
    #[must_use]
    pub fn listener(&self, name: &str) -> Option<&Arc<rustls::ServerConfig>> {
        self.listeners.get(name)
    }
}
