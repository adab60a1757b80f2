//! One change from its beginning to its end: read, validate, resolve, build, publish. Or nothing changes, and it says
//! why.

mod give_back;
mod named;
mod targets;
mod told;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::assemble::{self, Reusable};
use super::checks::Checks;
use super::file::{File, Look};
use super::fleet::{Bound, Fleet, Losses, bind_all};
use super::folder::{Folder, Offer, PREVIOUS, RETRY};
use super::previous;
use super::probation::Probation;
use super::resolve::{Before, Refused, Resolution, Resolved, Trigger, resolve};
use super::status::Board;
use crate::config::diff::{self, Diff};
use crate::config::ready::{Config, Listener};
use crate::config::{self, ConfigError, Running};
use crate::discovery::{Discovery, Known};
use crate::endpoint::Endpoint;
use crate::fault::breaker;
use crate::fault::quarantine::Quarantine;
use crate::fault::watchdog::Watchdog;
use crate::life::notify::Notifier;
use crate::plugin::catalog::Catalog;
use crate::router::table::Misfit;
use crate::snapshot::{Farewell, Left, Snapshot};
use crate::socket::descriptors;
use crate::supervise::binder::Binder;
use crate::supervise::origin::Origin;
use crate::supervise::successor::Attempt;
use crate::supervise::upgrade::{Standing, Turn};
use crate::tls::client::{self, warn_of_unverified};
use crate::tls::files::Files;

pub use named::Named;
pub use told::cannot_bind;
use told::{replaces_an_image, swapped};

/// Control's own state: what serves, and what it was made of.
pub struct Control {
    file: File,
    /// Every image.
    pub catalog: Catalog,
    /// The plugins folder.
    pub folder: Folder,
    /// What the admin listener shows.
    pub board: Board,
    fleet: Fleet,
    checks: Checks,
    binder: Binder,
    quarantine: Quarantine,
    probations: Vec<Probation>,
    watchdog: Watchdog,
    config: Config,
    /// The files it names.
    named: Named,
    resolved: Vec<Resolved>,
    /// Looks up the names of targets.
    discovery: Discovery,
    /// What was known of them when the snapshot was made that serves.
    known: Known,
    /// What of that snapshot stays while only targets change.
    reusable: Reusable,
    /// What was seen last, the text or why there is none; the same again is no change.
    seen: Result<String, String>,
    /// A refused configuration that another folder could make good, or other files.
    pending: Option<Pending>,
    /// The folder the configuration was last resolved with.
    tried: Tried,
    generation: u64,
    attempts: u64,
    /// How often names led elsewhere.
    retargets: u64,
    /// When that was last.
    retargeted: Option<Instant>,
}

/// A configuration that was refused and may become good.
struct Pending {
    config: Config,
    errors: Vec<String>,
    /// With what plugins were resolved; none: it did not come to that.
    tried: Option<Tried>,
    /// The files it names, where they are why it was refused.
    files: Option<Files>,
}

/// With what plugins were resolved: while that is the same, another attempt would end the same.
struct Tried {
    /// What the folder offered.
    offer: Offer,
    /// When to try again although nothing changed, where a reason may pass.
    again: Option<Instant>,
}

impl Tried {
    fn new(offer: Offer, passing: bool) -> Self {
        let again = passing.then(|| Instant::now() + RETRY);
        Self { offer, again }
    }

    fn is_enough(&self, offer: Offer) -> bool {
        let due = self.again.is_some_and(|at| at <= Instant::now());
        offer == self.offer && !due
    }
}

/// Who asked for a configuration.
#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    /// Plugin files whose refusal may pass get another chance.
    fresh: bool,
    /// An operator says that what lies there is whole.
    whole: bool,
}

/// What a look at the folder gave.
struct Looked {
    /// How long to wait before looking again, if a file has not come to rest.
    wait: Option<Duration>,
    /// What it offers.
    offer: Offer,
}

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
    /// Where sockets come from.
    pub binder: Binder,
    /// Files that are not taken any more.
    pub quarantine: Quarantine,
    /// Sees hooks that do not return.
    pub watchdog: Watchdog,
    /// Knows no names yet.
    pub discovery: Discovery,
    /// The files that the configuration names, as they were read while this process could read them.
    pub named: Named,
}

/// Why there is no gateway.
#[derive(Debug)]
pub enum StartError {
    /// The configuration is wrong, schemas of plugins included.
    Config(Vec<ConfigError>),
    /// A listener cannot be bound.
    Bind(Box<(Listener, std::io::Error)>),
    /// The routes do not fit into one table.
    Routes(Misfit),
    /// The system gives no threads.
    System(std::io::Error),
    /// It would take over from another process, and must not.
    Turn(String),
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
            binder,
            quarantine,
            watchdog,
            mut discovery,
            named,
        } = start;
        // They are looked up while plugins are made ready.
        discovery.begin(&config);
        catalog
            .services()
            .adopt(&config, &named.material, &Known::default());
        folder.hold(&quarantine.held());
        settle(&mut folder, &mut catalog, &config).await;
        let offer = folder.offer();
        let bound = bind_all(
            &binder,
            &config.listeners,
            config.workers,
            (catalog.metrics(), &named.material),
        )
        .map_err(StartError::Bind)?;
        let trigger = if binder.is_again() {
            Trigger::Again
        } else {
            Trigger::Start
        };
        let resolution = resolve(&config, trigger, None, &mut folder, &mut catalog)
            .await
            .map_err(|refused| StartError::Config(refused.errors))?;
        let begun = Reusable::begin(&config).map_err(StartError::Routes)?;
        discovery.first().await;
        let known = discovery.known();
        catalog.services().adopt(&config, &named.material, &known);
        let snapshot = Arc::new(assemble::snapshot(
            &config,
            &resolution.uses,
            1,
            catalog.metrics(),
            &named.material,
            &known,
            &begun,
        ));
        snapshot.enforce();
        let mut checks = Checks::new(catalog.metrics());
        checks.follow(&snapshot.upstreams);
        let degraded = assemble::degraded(&config, &resolution.uses);
        let fleet = Fleet::start(&snapshot, bound)
            .await
            .map_err(StartError::System)?;
        // All that can fail was before this: what is accepted after it is answered.
        binder.turn(&degraded).await.map_err(StartError::Turn)?;
        fleet.accept(1).await;
        let mut control = Self {
            file: File::new(file),
            tried: Tried::new(offer, resolution.passing),
            catalog,
            folder,
            board,
            fleet,
            checks,
            binder,
            quarantine,
            probations: Vec::new(),
            watchdog,
            config,
            named,
            resolved: resolution.uses,
            discovery,
            known,
            reusable: Reusable::of(&snapshot),
            seen: Ok(text),
            pending: None,
            generation: 1,
            attempts: 0,
            retargets: 0,
            retargeted: None,
        };
        control.keep_text();
        warn_of_unverified(&control.config);
        descriptors::warn_of_too_few(control.config.limits.connections);
        control.published(
            &snapshot,
            trigger,
            vec!["started".to_owned()],
            resolution.notes,
        );
        Ok(control)
    }

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

    /// Looks at the folder and applies what it says. Gives back how long to wait before looking again, if a file has
    /// not come to rest.
    pub async fn rescan(&mut self) -> Option<Duration> {
        self.retry_pending().await;
        let Looked { wait, offer } = self.look(false).await;
        // A file that never comes to rest is looked at many times a second; trying every configuration anew each time
        // would start as many children.
        if self.tried.is_enough(offer) {
            self.show_refused();
            return sooner(wait, self.folder.next_chance());
        }
        let resolution = resolve(
            &self.config,
            Trigger::Folder,
            Some(Before {
                config: &self.config,
                resolved: &self.resolved,
            }),
            &mut self.folder,
            &mut self.catalog,
        )
        .await;
        let passing = match &resolution {
            Ok(resolution) => resolution.passing,
            Err(refused) => refused.passing,
        };
        self.tried = Tried::new(offer, passing);
        match resolution {
            Ok(resolution) => self.swap(resolution, None).await,
            Err(_) => self.catalog.metrics().events.swapped("refused"),
        }
        sooner(wait, self.folder.next_chance())
    }

    /// Publishes what a look at the folder changed, if it did; or a return from a version that failed its probation.
    async fn swap(&mut self, resolution: Resolution, failed: Option<&Probation>) {
        if same(&self.resolved, &resolution.uses) {
            return self.told(resolution.notes);
        }
        let changes = swapped(&self.resolved, &resolution.uses);
        self.keep_replaced(&resolution.uses);
        self.begin_probation(&resolution.uses, failed);
        if replaces_an_image(&self.resolved, &resolution.uses) {
            self.catalog.metrics().events.swapped("published");
        }
        self.resolved = resolution.uses;
        let none = Bound::default();
        self.publish(Trigger::Folder, none, &[], changes, resolution.notes)
            .await;
    }

    /// Puts files on probation that take the place of others, but for those that served well before the one that failed.
    fn begin_probation(&mut self, uses: &[Resolved], failed: Option<&Probation>) {
        let faults = &self.config.faults;
        if faults.probation.is_zero() || faults.return_after == 0 {
            return;
        }
        let begun = Probation::of_swap(&self.resolved, uses);
        let begun = begun
            .into_iter()
            .filter(|one| !failed.is_some_and(|failed| failed.is_known(one.label)));
        for one in begun {
            // It begins anew: faults of before are not counted twice, and it goes back to where it came from last.
            self.probations
                .retain(|old| old.label.index != one.label.index);
            self.probations.push(one);
        }
    }

    /// Keeps the files that are replaced by what uses got now, for the time when the new ones are put into quarantine.
    fn keep_replaced(&self, uses: &[Resolved]) {
        let named = |id: &str| {
            let new = uses.iter().filter_map(|one| one.as_ref().ok());
            new.map(|instance| instance.identity())
                .filter(move |identity| identity.id == id)
                .map(|identity| &identity.digest)
                .collect::<Vec<_>>()
        };
        let mut done: Vec<&str> = Vec::new();
        for old in self.resolved.iter().filter_map(|one| one.as_ref().ok()) {
            let identity = old.identity();
            let new = named(&identity.id);
            let digest = &identity.digest;
            let replaced = !new.is_empty() && !new.contains(&digest);
            if !replaced || done.contains(&&**digest) || self.quarantine.holds(digest).is_some() {
                continue;
            }
            done.push(digest);
            let fit = old.image().and_then(|image| self.catalog.fit_of(image));
            let kept = fit.map(|fit| previous::keep(&self.config.state_dir.join(PREVIOUS), &fit));
            if let Some(Err(error)) = kept {
                tracing::warn!(target: "control", plugin = %identity.id, %error, "cannot keep the file that served before; there is nothing to fall back to");
            }
        }
    }

    /// Tries a refused configuration again, if the folder offers something else than it did then.
    async fn retry_pending(&mut self) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        let Some(tried) = &pending.tried else {
            // It waits for other files than plugins.
            self.pending = Some(pending);
            return;
        };
        // Its own settings decide which files it would find.
        self.catalog.set_loader(pending.config.loader.clone());
        let Looked { offer, .. } = self.look(false).await;
        self.catalog.set_loader(self.config.loader.clone());
        if tried.is_enough(offer) {
            self.pending = Some(pending);
        } else {
            self.reconfigure(pending.config, Asked::default()).await;
        }
    }

    /// Asks the workers to drain and waits until they have.
    pub async fn drained(&self) {
        self.binder.release_all();
        self.fleet.drain(&Farewell::default()).await;
    }

    /// The same where another process accepts from the listeners now, but for those that are gone: they go as they go in a
    /// reload.
    pub async fn drained_for_another(&self, gone: &[String]) {
        let addresses = self.config.listeners.iter().map(|one| &one.address);
        let is_gone = |address: &&Endpoint| gone.contains(&address.to_string());
        let (gone, kept): (Vec<_>, Vec<_>) = addresses.partition(is_gone);
        gone.into_iter()
            .for_each(|address| self.binder.release(address));
        self.binder.hand_over_all();
        let kept = kept.into_iter().cloned().collect();
        self.fleet.drain(&Farewell::to_another(kept)).await;
    }

    /// What an upgrade begins with.
    #[must_use]
    pub fn upgrade(
        &self,
        origin: &Origin,
        notifier: &Notifier,
        standing: &Standing,
        turn: Turn,
    ) -> Attempt {
        Attempt {
            origin: origin.clone(),
            variables: notifier.environment(),
            binder: self.binder.clone(),
            workers: self.config.workers,
            limit: self.config.drain.upgrade,
            standing: standing.clone(),
            turn,
        }
    }

    /// What is left to end.
    #[must_use]
    pub fn left(&self) -> Left {
        self.fleet.left()
    }

    /// Ends the exchanges that still run, so that their plugins hear of it, at most for `limit`.
    pub async fn cut(&self, limit: Duration) {
        self.fleet.cut(limit).await;
    }

    /// Gives the exchanges that run a while to end, and then ends them; the sockets stay with whoever else has them, for the
    /// process that comes next.
    pub async fn quit(&self, patience: Duration, limit: Duration) {
        self.binder.leave_files();
        let all = self.config.listeners.iter().map(|one| one.address.clone());
        let farewell = Farewell::to_another(all.collect());
        let _ = tokio::time::timeout(patience, self.fleet.drain(&farewell)).await;
        self.fleet.cut(limit).await;
    }

    /// A worker is lost, and nobody is to keep its sockets.
    pub fn let_go(&self) {
        self.binder.let_go();
    }

    /// Who tells of workers that panicked.
    #[must_use]
    pub fn losses(&self) -> Losses {
        self.fleet.losses()
    }

    /// Ends every instance and image, at most for `limit` each way.
    pub async fn end(mut self, limit: Duration) {
        // Workers say that they are drained before they let go of what they served.
        self.fleet.ended(limit).await;
        self.resolved.clear();
        self.probations.clear();
        self.catalog.quiesce(limit).await;
    }

    /// How long running exchanges may take at a shutdown.
    #[must_use]
    pub fn shutdown_limit(&self) -> Duration {
        self.config.drain.shutdown
    }

    /// How long everything is still accepted once a shutdown began.
    #[must_use]
    pub fn shutdown_delay(&self) -> Duration {
        self.config.drain.delay.unwrap_or_default()
    }

    /// How long one call into a plugin may take.
    #[must_use]
    pub fn call_timeout(&self) -> Duration {
        self.config.loader.call_timeout
    }

    /// Looks at the folder as the catalog's settings have it. Files whose refusal may pass get another chance if it is
    /// `fresh`, if other files came or went, and after a while.
    async fn look(&mut self, fresh: bool) -> Looked {
        let permissions = self.catalog.loader().permissions;
        self.quarantine.look();
        self.folder.hold(&self.quarantine.held());
        self.folder.forget_passing(fresh);
        let before = self.folder.offer();
        let mut wait = self.folder.refresh(&mut self.catalog, permissions).await;
        if self.folder.offer() != before && self.folder.forget_passing(true) {
            wait = self.folder.refresh(&mut self.catalog, permissions).await;
        }
        let offer = self.folder.offer();
        Looked { wait, offer }
    }

    async fn reconfigure(&mut self, config: Config, Asked { fresh, whole }: Asked) {
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

    /// A configuration names files that are still being written, and is tried again when they have come to rest.
    fn waits_for(&mut self, config: Config, files: Files) {
        tracing::debug!(target: "control", "files that the configuration names are still being written");
        let why = "files that it names are still being written; it is applied once they have come to rest";
        self.pending = Some(Pending {
            config,
            errors: vec![why.to_owned()],
            tried: None,
            files: Some(files),
        });
    }

    /// A configuration was refused: what serves goes on with its own settings.
    fn keep_settings(&mut self) {
        self.catalog.set_loader(self.config.loader.clone());
        self.catalog.services().withdraw();
        self.discovery.keep(&self.config);
    }

    /// Keeps the text that serves from now on, beyond this process where there is a parent.
    fn keep_text(&self) {
        if let Ok(text) = &self.seen {
            self.binder.keep_text(text);
            self.binder.keep_limit(self.config.drain.upgrade);
        }
    }

    async fn publish(
        &mut self,
        trigger: Trigger,
        bound: Bound,
        removed: &[Listener],
        changes: Vec<String>,
        notes: Vec<String>,
    ) {
        let snapshot = self.next(&self.reusable.table());
        self.reusable = Reusable::of(&snapshot);
        let before = self.config.drain.max;
        self.fleet.publish(&snapshot, bound, removed, before).await;
        self.published(&snapshot, trigger, changes, notes);
    }

    /// The next generation of what is configured, resolved and known, with what can be used again of the one before. It is
    /// what counts from here on: the checks of targets and the limits of the process follow it.
    fn next(&mut self, reusable: &Reusable) -> Arc<Snapshot> {
        self.generation += 1;
        let snapshot = Arc::new(assemble::snapshot(
            &self.config,
            &self.resolved,
            self.generation,
            self.catalog.metrics(),
            &self.named.material,
            &self.known,
            reusable,
        ));
        snapshot.enforce();
        self.checks.follow(&snapshot.upstreams);
        snapshot
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

/// The shorter of two waits.
fn sooner(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}

fn texts(errors: &[ConfigError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

fn same(before: &[Resolved], after: &[Resolved]) -> bool {
    before.len() == after.len()
        && before.iter().zip(after).all(|pair| match pair {
            (Ok(a), Ok(b)) => Arc::ptr_eq(a, b),
            (Err(a), Err(b)) => a == b,
            _ => false,
        })
}
