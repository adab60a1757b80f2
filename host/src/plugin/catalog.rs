//! What exists now: every image this process knows, its state, and its instances. Owned by the control thread.
//!
//! Control walks a plugin through the async steps here: [`Catalog::admit`], [`Catalog::preflight`],
//! [`Catalog::activate`], [`Catalog::configure`], [`Catalog::start`]. The way back begins with the last drop of an
//! instance, wherever that happens: it arrives at [`Catalog::retired`], and [`Catalog::on_retired`] sends `destroy`, then
//! `unload`, to the thread for foreign calls. Neither ever waits for a plugin.

mod activate;
mod background;
mod configure;
mod handover;
mod memory;
mod report;
mod slot;
mod state;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::config::ready::{Loader, Permissions};
use crate::metrics::Metrics;
use crate::ops::services::Services;
use crate::plugin::config_hash::ConfigHash;
use crate::plugin::ffi::host::Grounds;
use crate::plugin::files::Files;
use crate::plugin::fit::Fit;
use crate::plugin::foreign::Foreign;
use crate::plugin::image::{Digest, Image, ImageKey, Retired};
use crate::plugin::instance::Instance;
use crate::plugin::library::Loaded;
use crate::plugin::preflight::{Preflight, Verdict, Verdicts};
use crate::plugin::refusal::{Reason, Refusal, Step};
use crate::plugin::settle::FolderEntry;
use crate::plugin::stage::Stage;

pub use handover::Lost;
pub use report::{ImageReport, InstanceReport};
use slot::Slot;
pub use state::State;
pub use view::{Account, View};

/// What a catalog is made with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The state folder.
    pub state_dir: PathBuf,
    /// The gateway's own executable, for preflights; `/proc/self/exe` in production.
    pub exe: PathBuf,
    /// How plugin files are admitted.
    pub loader: Loader,
    /// Number of workers, for the accounts of instances.
    pub workers: usize,
    /// What all plugins share.
    pub services: Arc<Services>,
}

/// Every image this process knows.
pub struct Catalog {
    stage: Arc<Stage>,
    files: Files,
    preflight: Preflight,
    verdicts: Verdicts,
    loader: Loader,
    workers: usize,
    foreign: Foreign,
    slots: BTreeMap<ImageKey, Arc<Slot>>,
    instances: HashMap<(ImageKey, ConfigHash), Weak<Instance>>,
    queue: UnboundedSender<Retired>,
    retired: UnboundedReceiver<Retired>,
    /// Calls of `destroy` and `unload` on their way.
    ending: JoinSet<()>,
    view: View,
    metrics: Arc<Metrics>,
    grounds: Grounds,
}

impl Catalog {
    /// Prepares the state folder and an empty catalog.
    ///
    /// # Errors
    /// Nothing can be staged there.
    pub fn new(settings: Settings) -> Result<Self, Refusal> {
        let stage = Arc::new(Stage::prepare(&settings.state_dir)?);
        let files = Files::start().map_err(|error| {
            let reason = Reason::Io {
                action: "start a thread for its files".to_owned(),
                error: error.to_string(),
            };
            Refusal::new(
                Step::Stage,
                settings.state_dir.display().to_string(),
                reason,
            )
        })?;
        let (queue, retired) = unbounded_channel();
        let foreign = Foreign::new();
        let metrics = Metrics::new(settings.workers);
        let _ = metrics.kv.set(Arc::clone(&settings.services.kv));
        Ok(Self {
            stage,
            files,
            verdicts: Verdicts::open(&settings.state_dir, &settings.exe),
            preflight: Preflight::new(&settings.exe, settings.loader.preflight_timeout),
            loader: settings.loader,
            workers: settings.workers,
            view: View::new(foreign.clone()),
            foreign,
            slots: BTreeMap::new(),
            instances: HashMap::new(),
            queue,
            retired,
            ending: JoinSet::new(),
            grounds: Grounds {
                book: Arc::clone(&metrics.book),
                services: settings.services,
                preflight: false,
            },
            metrics,
        })
    }

    /// Takes over changed settings; they hold for what happens from now on.
    pub fn set_loader(&mut self, loader: Loader) {
        self.preflight.timeout = loader.preflight_timeout;
        self.loader = loader;
    }

    /// The settings that hold now.
    #[must_use]
    pub fn loader(&self) -> &Loader {
        &self.loader
    }

    /// Stages and inspects a file of the folder, away from the control thread's own work.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn admit(&mut self, entry: FolderEntry) -> Result<Arc<Fit>, Refusal> {
        let stage = Arc::clone(&self.stage);
        let permissions = self.loader.permissions;
        let shown = entry.path.display().to_string();
        let fit = self
            .files
            .run(move || admit(&stage, &entry, permissions))
            .await
            .unwrap_or_else(|error| {
                let reason = Reason::Io {
                    action: "copy and inspect it".to_owned(),
                    error,
                };
                Err(Refusal::new(Step::Stage, shown, reason))
            })?;
        Ok(self.know(fit))
    }

    /// Adds a fit file by hand: for tests that force a door.
    pub fn know(&mut self, fit: Fit) -> Arc<Fit> {
        let key = fit.key();
        let fit = Arc::new(fit);
        let slot = self
            .slots
            .entry(key)
            .or_insert_with(|| Arc::new(Slot::new(Arc::clone(&fit), &self.grounds)));
        slot.show_as(&fit);
        self.share();
        fit
    }

    /// Tries a file with every configuration in use, in a child. What plugins say about it passes through `hide`,
    /// which takes secrets out.
    ///
    /// # Errors
    /// The file is unfit. What is wrong with a configuration stands in the verdict.
    pub async fn preflight(
        &mut self,
        fit: &Fit,
        configs: &[&str],
        hide: impl Fn(&str) -> String,
    ) -> Result<Verdict, Refusal> {
        let verdict = self.preflight.run(fit, configs, &self.verdicts).await;
        let verdict = match verdict {
            Ok(verdict) => Ok(verdict.hiding(hide)),
            Err(refusal) => Err(refusal.hiding(hide)),
        };
        if let Some(slot) = self.slots.get(&fit.key()) {
            match &verdict {
                Ok(verdict) => {
                    slot.expect_only_one(verdict.report.one_image_only);
                    slot.advance(State::Preflighted);
                }
                Err(refusal) => slot.refused(refusal),
            }
        }
        verdict
    }

    /// Whether this very configuration of this very file serves already, so that there is nothing to try.
    #[must_use]
    pub fn is_alive(&self, fit: &Fit, config: &str) -> bool {
        let key = (fit.key(), ConfigHash::of(fit.digest(), config));
        let instance = self.instances.get(&key);
        instance.is_some_and(|instance| instance.strong_count() > 0)
    }

    /// The file an image was loaded from, as its private copy.
    #[must_use]
    pub fn fit_of(&self, image: &Image) -> Option<Arc<Fit>> {
        let slot = self.slot_of(image)?;
        Some(Arc::clone(&slot.shown().fit))
    }

    /// Says which images the published snapshot names: they are active, others in use drain.
    pub fn published<'a>(&mut self, images: impl Iterator<Item = &'a Arc<Image>>) {
        let named: Vec<ImageKey> = images
            .filter_map(|image| self.slot_of(image).map(|slot| slot.key))
            .collect();
        for (key, slot) in &self.slots {
            if named.contains(key) {
                slot.advance(State::Active);
            } else {
                slot.advance(State::Draining);
            }
        }
    }

    /// Waits for something nobody uses any more. Cancel safe.
    pub async fn retired(&mut self) -> Option<Retired> {
        self.retired.recv().await
    }

    /// Sends `destroy` or `unload` on its way. Does not wait for it; needs a tokio runtime around it.
    pub fn on_retired(&mut self, event: Retired) {
        while self.ending.try_join_next().is_some() {}
        let (foreign, deadline) = (self.foreign.clone(), self.loader.call_timeout);
        let policy = self.loader.unload;
        match event {
            Retired::Instance(instance) => {
                let Some(slot) = self.slot_of(&instance.image) else {
                    return;
                };
                self.ending
                    .spawn(async move { slot.destroy(instance, &foreign, deadline).await });
            }
            Retired::Image(loaded) => {
                let found = self.slots.get(&key_of(&loaded));
                if let Some(slot) = found.cloned() {
                    self.ending.spawn(async move {
                        slot.unload(loaded, &foreign, deadline, policy).await;
                    });
                }
            }
        }
    }

    /// Brings everything that nobody uses any more to its end, for a shutdown; at most for `limit`.
    pub async fn quiesce(&mut self, limit: Duration) -> bool {
        let work = async {
            loop {
                while let Ok(event) = self.retired.try_recv() {
                    self.on_retired(event);
                }
                if self.ending.join_next().await.is_none() && self.retired.is_empty() {
                    break;
                }
            }
        };
        tokio::time::timeout(limit, work).await.is_ok()
    }

    /// Forgets files that are neither in the folder nor mapped; removes their copies. `present` are the digests of the
    /// folder as it is now.
    pub fn forget_except(&mut self, present: &[Digest]) {
        let stage = Arc::clone(&self.stage);
        self.slots.retain(|key, slot| {
            let keep = present.contains(&key.digest) || !slot.is_idle();
            if !keep {
                self.view.remember(slot);
                stage.forget(&slot.path());
            }
            keep
        });
        let known: Vec<Digest> = self.slots.keys().map(|key| key.digest).collect();
        self.verdicts.keep_only(&known);
        self.share();
    }

    /// Removes what other builds of the gateway remember of plugin files; for a process that serves.
    pub fn forget_other_builds(&self) {
        self.verdicts.remove_others();
    }

    /// How many distinct images are mapped but serve nobody.
    #[must_use]
    pub fn resident(&self) -> usize {
        self.slots
            .values()
            .filter(|slot| matches!(slot.state(), State::Resident(_)))
            .count()
    }

    /// Everything there is to know, for the admin API.
    #[must_use]
    pub fn report(&self) -> Vec<ImageReport> {
        self.view.report()
    }

    /// A handle on the same that any thread may keep.
    #[must_use]
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// What is counted in this process; plugins count in it as well.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// What all plugins share.
    #[must_use]
    pub fn services(&self) -> &Arc<Services> {
        &self.grounds.services
    }

    /// The thread for foreign calls, which knows what is stuck.
    #[must_use]
    pub fn foreign(&self) -> &Foreign {
        &self.foreign
    }

    /// Shows what is known now.
    fn share(&self) {
        self.view.show(&self.slots, &self.instances);
    }

    fn slot_of(&self, image: &Image) -> Option<Arc<Slot>> {
        let key = key_of(image.loaded()?);
        self.slots.get(&key).cloned()
    }
}

fn admit(stage: &Stage, entry: &FolderEntry, permissions: Permissions) -> Result<Fit, Refusal> {
    let staged = stage.stage(entry, permissions)?;
    let path = staged.path.clone();
    Fit::inspect(staged).inspect_err(|_| stage.forget(&path))
}

fn key_of(loaded: &Loaded) -> ImageKey {
    loaded.mapped().key()
}

#[cfg(test)]
mod tests;
