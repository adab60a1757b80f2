//! One change from its beginning to its end: read, validate, resolve, build, publish. Or nothing changes, and it says
//! why.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::assemble;
use super::fleet::{Bound, Fleet, bind_all};
use super::folder::Folder;
use super::resolve::{Resolved, Trigger, resolve};
use super::status::{self, Board, Change};
use crate::config::diff::{self, Diff};
use crate::config::ready::{Config, Listener};
use crate::config::{self, ConfigError, Source, System};
use crate::plugin::catalog::Catalog;
use crate::snapshot::Snapshot;

/// Control's own state: what serves, and what it was made of.
pub struct Control {
    /// The configuration file.
    pub file: PathBuf,
    /// Every image.
    pub catalog: Catalog,
    /// The plugins folder.
    pub folder: Folder,
    /// What the admin listener shows.
    pub board: Board,
    fleet: Fleet,
    config: Config,
    resolved: Vec<Resolved>,
    /// What was seen last, the text or why there is none; the same again is no change.
    seen: Result<String, String>,
    /// A refused configuration that another folder could make good.
    pending: Option<Config>,
    generation: u64,
    attempts: u64,
    /// The state of the folder that was resolved last after a look at it, and when.
    tried: (u64, Instant),
}

/// After this long even an unchanged folder is resolved again: what refused may have had its cause elsewhere.
const RETRY: Duration = Duration::from_secs(9);

/// What a start needs.
pub struct Start {
    /// The configuration file.
    pub file: PathBuf,
    /// What it said.
    pub text: String,
    /// What that means.
    pub config: Config,
    /// An empty catalog.
    pub catalog: Catalog,
    /// The folder, not looked at yet.
    pub folder: Folder,
    /// An empty board.
    pub board: Board,
}

/// Why there is no gateway.
#[derive(Debug)]
pub enum StartError {
    /// The configuration is wrong, schemas of plugins included.
    Config(Vec<ConfigError>),
    /// A listener cannot be bound.
    Bind(Listener, std::io::Error),
    /// The system gives no threads.
    System(std::io::Error),
}

impl Control {
    /// Publishes the first snapshot: the reload from nothing.
    ///
    /// # Errors
    /// What makes a start pointless.
    pub async fn start(start: Start) -> Result<Self, StartError> {
        let Start {
            file,
            text,
            config,
            mut catalog,
            mut folder,
            board,
        } = start;
        settle(&mut folder, &mut catalog, &config).await;
        let bound = bind_all(&config.listeners, config.workers)
            .map_err(|(listener, error)| StartError::Bind(listener, error))?;
        let resolution = resolve(&config, Trigger::Start, &[], &mut folder, &mut catalog)
            .await
            .map_err(StartError::Config)?;
        let snapshot = Arc::new(assemble::snapshot(&config, &resolution.uses, 1));
        let fleet = Fleet::start(&snapshot, bound).map_err(StartError::System)?;
        fleet.adopted(1).await;
        let mut control = Self {
            file,
            catalog,
            folder,
            board,
            fleet,
            config,
            resolved: resolution.uses,
            seen: Ok(text),
            pending: None,
            generation: 1,
            attempts: 0,
            tried: (0, Instant::now()),
        };
        control.published(
            &snapshot,
            Trigger::Start,
            vec!["started".to_owned()],
            resolution.notes,
        );
        Ok(control)
    }

    /// Reads the file again and applies it. Unless `asked`, what was seen before is no change: a file that is gone is
    /// said once, not at every look.
    pub async fn reload(&mut self, asked: bool) {
        let read = Source::read(&self.file).map_err(|error| error.to_string());
        let seen = read
            .as_ref()
            .map(|source| source.text.clone())
            .map_err(Clone::clone);
        if !asked && seen == self.seen {
            return;
        }
        self.seen = seen;
        let source = match read {
            Ok(source) => source,
            Err(error) => return self.refused(Trigger::Reload, &[error]),
        };
        // Whatever was waiting, this is newer.
        self.pending = None;
        match config::load(&source, &System) {
            Ok(config) => {
                self.look().await;
                self.reconfigure(config).await;
            }
            Err(errors) => self.refused(Trigger::Reload, &texts(&errors)),
        }
    }

    /// Looks at the folder and applies what it says. Gives back how long to wait before looking again, if a file has
    /// not come to rest.
    pub async fn rescan(&mut self) -> Option<Duration> {
        let wait = self.look().await;
        // A file that never comes to rest is looked at many times a second; trying every configuration anew each time
        // would start as many children.
        let revision = self.folder.revision();
        let (tried, at) = self.tried;
        if revision == tried && at.elapsed() < RETRY {
            return wait;
        }
        self.tried = (revision, Instant::now());
        if let Some(pending) = self.pending.take() {
            self.reconfigure(pending).await;
        }
        let config = self.config.clone();
        let resolution = resolve(
            &config,
            Trigger::Folder,
            &self.resolved,
            &mut self.folder,
            &mut self.catalog,
        )
        .await;
        let Ok(resolution) = resolution else {
            return wait;
        };
        if same(&self.resolved, &resolution.uses) {
            self.told(resolution.notes);
            return wait;
        }
        let changes = swapped(&self.resolved, &resolution.uses);
        self.resolved = resolution.uses;
        self.publish(
            Trigger::Folder,
            Bound::default(),
            &[],
            changes,
            resolution.notes,
        )
        .await;
        wait
    }

    /// Shows what changed without a change of configuration: generations that were let go, calls that hang.
    pub fn show(&self) {
        let current = self.generation;
        let draining = self
            .fleet
            .held()
            .into_iter()
            .filter(|(generation, _)| *generation != current)
            .collect();
        let stuck = self.catalog.foreign().stuck();
        self.board.update(|status| {
            status.draining = draining;
            status.stuck = stuck
                .iter()
                .map(|call| format!("{} of {}", call.hook, call.plugin))
                .collect();
        });
    }

    /// Asks the workers to drain and waits until they have.
    pub async fn drained(&self) {
        self.fleet.drain().await;
    }

    /// Ends every instance and image, at most for `limit` each way.
    pub async fn end(mut self, limit: Duration) {
        self.fleet.join();
        self.resolved.clear();
        self.catalog.quiesce(limit).await;
    }

    /// How long running exchanges may take at a shutdown.
    #[must_use]
    pub fn shutdown_limit(&self) -> Duration {
        self.config.drain.shutdown
    }

    /// How long one call into a plugin may take.
    #[must_use]
    pub fn call_timeout(&self) -> Duration {
        self.config.loader.call_timeout
    }

    async fn look(&mut self) -> Option<Duration> {
        self.folder.forget_passing();
        let wait = self
            .folder
            .refresh(&mut self.catalog, self.config.loader.permissions)
            .await;
        self.show_refused();
        wait
    }

    /// Shows which files are not taken. Not only after a look: a file may turn out unfit while uses are resolved.
    fn show_refused(&self) {
        let refused: Vec<_> = self
            .folder
            .refusals()
            .map(|refusal| json!(refusal))
            .collect();
        self.board.update(|status| status.refused = refused);
    }

    async fn reconfigure(&mut self, config: Config) {
        let Diff {
            listeners,
            restart,
            words,
        } = diff::diff(&self.config, &config);
        if !restart.is_empty() {
            return self.refused(Trigger::Reload, &texts(&restart));
        }
        self.catalog.set_loader(config.loader.clone());
        let resolution = resolve(
            &config,
            Trigger::Reload,
            &self.resolved,
            &mut self.folder,
            &mut self.catalog,
        )
        .await;
        let resolution = match resolution {
            Ok(resolution) => resolution,
            Err(errors) => {
                self.catalog.set_loader(self.config.loader.clone());
                // Another version of a plugin may arrive later and make this configuration good.
                self.pending = Some(config);
                return self.refused(Trigger::Reload, &texts(&errors));
            }
        };
        let bound = match bind_all(&listeners.added, config.workers) {
            Ok(bound) => bound,
            Err((listener, error)) => {
                self.catalog.set_loader(self.config.loader.clone());
                return self.refused(Trigger::Reload, &[cannot_bind(&listener, &error)]);
            }
        };
        self.config = config;
        self.resolved = resolution.uses;
        self.publish(
            Trigger::Reload,
            bound,
            &listeners.removed,
            words,
            resolution.notes,
        )
        .await;
    }

    async fn publish(
        &mut self,
        trigger: Trigger,
        bound: Bound,
        removed: &[Listener],
        changes: Vec<String>,
        notes: Vec<String>,
    ) {
        self.generation += 1;
        let snapshot = Arc::new(assemble::snapshot(
            &self.config,
            &self.resolved,
            self.generation,
        ));
        self.fleet.publish(&snapshot, bound, removed).await;
        self.published(&snapshot, trigger, changes, notes);
    }

    fn published(
        &mut self,
        snapshot: &Snapshot,
        trigger: Trigger,
        changes: Vec<String>,
        notes: Vec<String>,
    ) {
        let alive = self.resolved.iter().filter_map(|one| one.as_ref().ok());
        let images: Vec<_> = alive
            .filter_map(|instance| instance.image().cloned())
            .collect();
        self.catalog.published(images.iter());
        let degraded = assemble::degraded(&self.config, &self.resolved);
        for reason in &degraded {
            tracing::error!(target: "control", "degraded: {reason}");
        }
        self.say(&notes);
        self.attempts += 1;
        let change = Change::now(
            self.attempts,
            name(trigger),
            "published",
            changes,
            Vec::new(),
        );
        tracing::info!(target: "control", generation = snapshot.generation, trigger = change.trigger, changes = change.changes.join(", "), "published");
        let global_missing = status::global_missing(&self.config, &self.resolved);
        let listeners = self.config.listeners.iter().map(|listener| {
            json!({ "name": &*listener.name, "address": self.fleet.address(listener.address) })
        });
        let listeners = listeners.collect();
        let routes = status::routes(&self.config, snapshot);
        self.board.update(|status| {
            status.generation = snapshot.generation;
            status.last_change = Some(change);
            status.pending = None;
            status.once_complete |= degraded.is_empty();
            status.global_missing = global_missing;
            status.degraded = degraded;
            status.notes = notes;
            status.listeners = listeners;
            status.routes = routes;
            status.readiness = self.config.readiness;
        });
        self.show_refused();
        self.show();
    }

    /// Logs the notes that were not there before.
    fn say(&self, notes: &[String]) {
        let known = self.board.read(|status| status.notes.clone());
        for note in notes.iter().filter(|note| !known.contains(note)) {
            tracing::warn!(target: "control", "{note}");
        }
    }

    fn told(&self, notes: Vec<String>) {
        self.say(&notes);
        self.board.update(|status| status.notes = notes);
        self.show_refused();
    }

    fn refused(&mut self, trigger: Trigger, errors: &[String]) {
        self.attempts += 1;
        for error in errors {
            tracing::error!(target: "control", trigger = name(trigger), "refused, nothing changes: {error}");
        }
        let change = Change::now(
            self.attempts,
            name(trigger),
            "refused",
            Vec::new(),
            errors.to_vec(),
        );
        let pending = self.pending.is_some().then(|| errors.to_vec());
        self.board.update(|status| {
            status.last_change = Some(change);
            status.pending = pending;
        });
        self.show_refused();
    }
}

/// Waits until the files that lie in the folder at a start have come to rest.
pub(super) async fn settle(folder: &mut Folder, catalog: &mut Catalog, config: &Config) {
    /// A file that is being written all the time must not keep the gateway from starting.
    const PATIENCE: u32 = 20;
    for _ in 0..PATIENCE {
        match folder.refresh(catalog, config.loader.permissions).await {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return,
        }
    }
}

/// The sentence for a listener that cannot be bound.
#[must_use]
pub fn cannot_bind(listener: &Listener, error: &std::io::Error) -> String {
    format!(
        "listener {} cannot bind {}: {error}; end what listens there, or choose another address",
        listener.name, listener.address
    )
}

fn texts(errors: &[ConfigError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

fn name(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Start => "start",
        Trigger::Reload => "reload",
        Trigger::Folder => "folder",
        Trigger::Check => "check",
    }
}

fn same(before: &[Resolved], after: &[Resolved]) -> bool {
    before.len() == after.len()
        && before.iter().zip(after).all(|pair| match pair {
            (Ok(a), Ok(b)) => Arc::ptr_eq(a, b),
            (Err(a), Err(b)) => a == b,
            _ => false,
        })
}

/// What a look at the folder changed, in words.
fn swapped(before: &[Resolved], after: &[Resolved]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for (old, new) in before.iter().zip(after) {
        let word = match (old, new) {
            (Ok(old), Ok(new)) if !Arc::ptr_eq(old, new) => {
                let (old, new) = (old.identity(), new.identity());
                format!(
                    "plugin {} swapped from {} ({}) to {} ({})",
                    new.id,
                    old.version,
                    short(&old.digest),
                    new.version,
                    short(&new.digest)
                )
            }
            (Err(_), Ok(new)) => format!(
                "plugin {} {} is there now",
                new.identity().id,
                new.identity().version
            ),
            (Err(old), Err(new)) if old != new => new.clone(),
            _ => continue,
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
