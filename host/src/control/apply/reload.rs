//! Another configuration: all of it is made ready, and then it serves; or the one before goes on.

use std::time::Duration;

use super::named::Attempt;
use super::pending::{Pending, Tried};
use super::rescan::Looked;
use super::{Control, texts};
use crate::config::diff::{self, Diff, Listeners};
use crate::config::ready::Config;
use crate::config::{self, Running};
use crate::control::assemble::Reusable;
use crate::control::file::Look;
use crate::control::fleet::{Bound, bind_all};
use crate::control::resolve::{Refused, Resolution, Trigger};
use crate::fault::breaker;
use crate::socket::descriptors;
use crate::tls::Material;
use crate::tls::client::{self, warn_of_unverified};

/// Who asked for a configuration.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    /// Plugin files whose refusal may pass get another chance.
    pub(super) fresh: bool,
    /// An operator says that what lies there is whole.
    pub(super) whole: bool,
}

/// A configuration of which nothing can fail any more.
struct Ready {
    resolution: Resolution,
    tried: Tried,
    begun: Reusable,
    bound: Bound,
}

/// Why a configuration is not applied.
struct NotReady {
    errors: Vec<String>,
    /// With what plugins, where others could make it good.
    tried: Option<Tried>,
}

impl NotReady {
    /// It would be the same with any plugins.
    fn whatever_plugins(error: String) -> Self {
        Self {
            errors: vec![error],
            tried: None,
        }
    }
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

    /// Applies a configuration, or says why not.
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
        match self.make_ready(&config, material, &listeners, fresh).await {
            Ok(ready) => {
                self.take_over(config, attempt, (listeners, words), ready)
                    .await;
            }
            Err(NotReady { errors, tried }) => {
                self.keep_settings();
                if tried.is_some() {
                    // Another version of a plugin may arrive later and make this configuration good.
                    self.pending = Some(Pending {
                        config,
                        errors: errors.clone(),
                        tried,
                        files: None,
                    });
                }
                self.refused(Trigger::Reload, &errors);
            }
        }
    }

    /// Does all of a configuration that can fail.
    async fn make_ready(
        &mut self,
        config: &Config,
        material: &Material,
        listeners: &Listeners,
        fresh: bool,
    ) -> Result<Ready, NotReady> {
        // Its own settings decide which files it finds, and instances that it starts may call what it brings.
        self.catalog.set_loader(config.loader.clone());
        self.discovery.begin(config);
        self.discovery.first().await;
        let known = self.discovery.known();
        self.catalog.services().prepare(config, material, &known);
        let Looked { offer, .. } = self.look(fresh).await;
        let resolution = match self.resolve_anew(Some(config)).await {
            Ok(resolution) => resolution,
            Err(Refused { errors, passing }) => {
                return Err(NotReady {
                    errors: texts(&errors),
                    tried: Some(Tried::new(offer, passing)),
                });
            }
        };
        let begun = Reusable::begin(config)
            .map_err(|error| NotReady::whatever_plugins(error.to_string()))?;
        let counted = (self.catalog.metrics().as_ref(), material);
        let bound = bind_all(&self.binder, &listeners.added, config.workers, counted);
        let bound = bound.map_err(|failed| {
            let (listener, error) = *failed;
            NotReady::whatever_plugins(self.cannot_bind_now(&listener, &error))
        })?;
        Ok(Ready {
            tried: Tried::new(offer, resolution.passing),
            resolution,
            begun,
            bound: bound.keeping(&listeners.kept, counted),
        })
    }

    /// Serves another configuration from now on. Nothing of this can fail.
    async fn take_over(
        &mut self,
        config: Config,
        attempt: Attempt,
        (listeners, words): (Listeners, Vec<String>),
        ready: Ready,
    ) {
        self.discovery.keep(&config);
        self.known = self.discovery.known();
        attempt.adopt(&mut self.named);
        self.catalog
            .services()
            .adopt(&config, &self.named.material, &self.known);
        for listener in &listeners.removed {
            self.binder.release(&listener.address);
        }
        let Resolution { uses, notes, .. } = ready.resolution;
        self.keep_replaced(&uses);
        breaker::set(config.faults.breaker);
        let faults = &config.faults;
        let ends = self.binder.is_supervised();
        self.watchdog.set(faults.hook_budget, faults.hung, ends);
        warn_of_unverified(&config);
        descriptors::warn_of_too_few(config.limits.connections);
        self.config = config;
        self.keep_text();
        self.reusable = ready.begun;
        self.resolved = uses;
        self.tried = ready.tried;
        let removed = &listeners.removed;
        self.publish(Trigger::Reload, ready.bound, removed, words, notes)
            .await;
    }

    /// A configuration was refused: what serves goes on with its own settings.
    fn keep_settings(&mut self) {
        self.catalog.set_loader(self.config.loader.clone());
        self.catalog.services().withdraw();
        self.discovery.keep(&self.config);
    }
}
