//! What exists now: every image this process knows, its state, and its instances. Owned by the control thread.
//!
//! Control walks a plugin through the async steps here: [`Catalog::admit`], [`Catalog::preflight`],
//! [`Catalog::activate`], [`Catalog::configure`], [`Catalog::start`]. The way back begins with the last drop of an
//! instance, wherever that happens: it arrives at [`Catalog::retired`], and [`Catalog::on_retired`] sends `destroy`, then
//! `unload`, to the thread for foreign calls. Neither ever waits for a plugin.

mod activate;
mod admit;
mod background;
mod configure;
mod handover;
mod memory;
mod report;
mod retire;
mod slot;
mod state;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::config::ready::Loader;
use crate::counted::Metrics;
use crate::ops::services::Services;
use crate::plugin::config_hash::ConfigHash;
use crate::plugin::ffi::host::Grounds;
use crate::plugin::files::Files;
use crate::plugin::fit::Fit;
use crate::plugin::foreign::Foreign;
use crate::plugin::image::{Image, ImageKey, Retired};
use crate::plugin::instance::Instance;
use crate::plugin::library::Loaded;
use crate::plugin::preflight::{Preflight, Verdicts};
use crate::plugin::refusal::{Reason, Refusal, Step};
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

fn key_of(loaded: &Loaded) -> ImageKey {
    loaded.mapped().key()
}

#[cfg(test)]
mod tests;
