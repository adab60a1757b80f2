//! Another configuration: all of it is made ready, and then it serves; or the one before goes on.

use std::time::Duration;

use super::pending::{Pending, Tried};
use super::rescan::Looked;
use super::{Control, texts};
use crate::config::diff::{self, Diff};
use crate::config::ready::Config;
use crate::config::{self, Running};
use crate::control::assemble::Reusable;
use crate::control::file::Look;
use crate::control::fleet::bind_all;
use crate::control::resolve::{Before, Refused, Trigger, resolve};
use crate::fault::breaker;
use crate::socket::descriptors;
use crate::tls::client::{self, warn_of_unverified};

/// Who asked for a configuration.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    /// Plugin files whose refusal may pass get another chance.
    pub(super) fresh: bool,
    /// An operator says that what lies there is whole.
    pub(super) whole: bool,
}

impl Control {
    /// Reads the file again and applies it. Unless `asked`, what was seen before is no change: a file that is gone is
    /// said once, not at every look. Gives back how long to wait before looking again, if it has not come to rest.
    pub async fn reload(&mut self, asked: bool) -> Option<Duration> {
        let read = match self.file.look(asked) {
            Look::Moving(left) => return Some(left),
            Look::Read(read) => read,
        };
        let seen = read
            .as_ref()
            .map(|source| source.text.clone())
            .map_err(Clone::clone);
        if !asked && seen == self.seen {
            return None;
        }
        self.seen = seen;
        let source = match read {
            Ok(source) => source,
            Err(error) => {
                self.refused(Trigger::Reload, &[error]);
                return None;
            }
        };
        // Whatever was waiting, this is newer.
        self.pending = None;
        let environment = Running {
            workers: self.config.workers,
        };
        match config::load(&source, &environment) {
            Ok(config) => {
                let fresh = asked || config.loader != self.config.loader;
                self.reconfigure(
                    config,
                    Asked {
                        fresh,
                        whole: asked,
                    },
                )
                .await;
            }
            Err(errors) => self.refused(Trigger::Reload, &texts(&errors)),
        }
        None
    }

    pub(super) async fn reconfigure(&mut self, config: Config, Asked { fresh, whole }: Asked) {
        let Diff {
            listeners,
            restart,
            words,
        } = diff::diff(&self.config, &config);
        if !restart.is_empty() {
            return self.refused(Trigger::Reload, &texts(&restart));
        }
        // What was read once may have changed since; workers never wait for it.
        client::read_system_again();
        let attempt = self.named.try_with(&config);
        // Half a file may well be a good certificate, with half of its chain.
        if !whole && let Some(files) = self.named.unsettled(&attempt) {
            return self.waits_for(config, files);
        }
        let material = match &attempt.material {
            Ok(material) => material,
            Err(errors) => {
                let errors = texts(errors);
                // A certificate may arrive after the configuration that names it.
                self.pending = Some(Pending {
                    config,
                    errors: errors.clone(),
                    tried: None,
                    files: Some(attempt.files),
                });
                return self.refused(Trigger::Reload, &errors);
            }
        };
        // Its own settings decide which files it finds, and instances that it starts may call what it brings.
        self.catalog.set_loader(config.loader.clone());
        self.discovery.begin(&config);
        self.discovery.first().await;
        let known = self.discovery.known();
        self.catalog.services().prepare(&config, material, &known);
        let Looked { offer, .. } = self.look(fresh).await;
        let resolution = resolve(
            &config,
            Trigger::Reload,
            Some(Before {
                config: &self.config,
                resolved: &self.resolved,
            }),
            &mut self.folder,
            &mut self.catalog,
        )
        .await;
        let resolution = match resolution {
            Ok(resolution) => resolution,
            Err(Refused { errors, passing }) => {
                self.keep_settings();
                let errors = texts(&errors);
                // Another version of a plugin may arrive later and make this configuration good.
                self.pending = Some(Pending {
                    config,
                    errors: errors.clone(),
                    tried: Some(Tried::new(offer, passing)),
                    files: None,
                });
                return self.refused(Trigger::Reload, &errors);
            }
        };
        let begun = match Reusable::begin(&config) {
            Ok(begun) => begun,
            Err(error) => {
                self.keep_settings();
                return self.refused(Trigger::Reload, &[error.to_string()]);
            }
        };
        let bound = match bind_all(
            &self.binder,
            &listeners.added,
            config.workers,
            (self.catalog.metrics(), material),
        ) {
            Ok(bound) => bound.keeping(&listeners.kept, (self.catalog.metrics(), material)),
            Err(failed) => {
                let (listener, error) = *failed;
                self.keep_settings();
                let error = self.cannot_bind_now(&listener, &error);
                return self.refused(Trigger::Reload, &[error]);
            }
        };
        self.discovery.keep(&config);
        self.known = self.discovery.known();
        self.catalog
            .services()
            .adopt(&config, material, &self.known);
        for listener in &listeners.removed {
            self.binder.release(&listener.address);
        }
        self.keep_replaced(&resolution.uses);
        breaker::set(config.faults.breaker);
        let faults = &config.faults;
        let ends = self.binder.is_supervised();
        self.watchdog.set(faults.hook_budget, faults.hung, ends);
        self.keep_text();
        attempt.adopt(&mut self.named);
        warn_of_unverified(&config);
        descriptors::warn_of_too_few(config.limits.connections);
        self.config = config;
        self.reusable = begun;
        self.resolved = resolution.uses;
        self.tried = Tried::new(offer, resolution.passing);
        self.publish(
            Trigger::Reload,
            bound,
            &listeners.removed,
            words,
            resolution.notes,
        )
        .await;
    }

    /// A configuration was refused: what serves goes on with its own settings.
    fn keep_settings(&mut self) {
        self.catalog.set_loader(self.config.loader.clone());
        self.catalog.services().withdraw();
        self.discovery.keep(&self.config);
    }
}
