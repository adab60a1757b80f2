//! The first generation: the reload from nothing.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Control, Named, Tried};
use crate::config::ConfigError;
use crate::config::ready::{Config, Listener};
use crate::control::assemble::{self, Reusable};
use crate::control::checks::Checks;
use crate::control::file::File;
use crate::control::fleet::{Bound, Fleet, bind_all};
use crate::control::folder::Folder;
use crate::control::resolve::{Resolution, Trigger, resolve};
use crate::control::status::Board;
use crate::discovery::{Discovery, Known};
use crate::fault::quarantine::Quarantine;
use crate::fault::watchdog::Watchdog;
use crate::plugin::catalog::Catalog;
use crate::router::table::Misfit;
use crate::socket::descriptors;
use crate::supervise::binder::Binder;
use crate::tls::client::warn_of_unverified;

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

/// What a start makes ready.
struct First {
    trigger: Trigger,
    tried: Tried,
    bound: Bound,
    resolution: Resolution,
    begun: Reusable,
}

impl Start {
    /// Does what may be refused: looks at the folder, binds, resolves plugins and builds the routes.
    async fn first(&mut self) -> Result<First, StartError> {
        let (config, catalog, folder) = (&self.config, &mut self.catalog, &mut self.folder);
        let material = &self.named.material;
        // They are looked up while plugins are made ready.
        self.discovery.begin(config);
        catalog
            .services()
            .adopt(config, material, &Known::default());
        folder.hold(&self.quarantine.held());
        settle(folder, catalog, config).await;
        let offer = folder.offer();
        let counted = (catalog.metrics().as_ref(), material);
        let bound = bind_all(&self.binder, &config.listeners, config.workers, counted)
            .map_err(StartError::Bind)?;
        let trigger = if self.binder.is_again() {
            Trigger::Again
        } else {
            Trigger::Start
        };
        let resolution = resolve(config, trigger, None, folder, catalog)
            .await
            .map_err(|refused| StartError::Config(refused.errors))?;
        Ok(First {
            trigger,
            tried: Tried::new(offer, resolution.passing),
            bound,
            resolution,
            begun: Reusable::begin(config).map_err(StartError::Routes)?,
        })
    }
}

impl Control {
    /// Publishes the first snapshot: the reload from nothing.
    ///
    /// # Errors
    /// What makes a start pointless.
    pub async fn start(mut start: Start) -> Result<Self, StartError> {
        let First {
            trigger,
            tried,
            bound,
            resolution: Resolution { uses, notes, .. },
            begun,
        } = start.first().await?;
        start.discovery.first().await;
        let known = start.discovery.known();
        let (config, material) = (&start.config, &start.named.material);
        start.catalog.services().adopt(config, material, &known);
        let metrics = start.catalog.metrics();
        let snapshot = assemble::snapshot(config, &uses, 1, metrics, material, &known, &begun);
        let snapshot = Arc::new(snapshot);
        snapshot.enforce();
        let mut checks = Checks::new(metrics);
        checks.follow(&snapshot.upstreams);
        let degraded = assemble::degraded(config, &uses);
        let started = Fleet::start(&snapshot, bound).await;
        let fleet = started.map_err(StartError::System)?;
        // All that can fail was before this: what is accepted after it is answered.
        let turned = start.binder.turn(&degraded).await;
        turned.map_err(StartError::Turn)?;
        fleet.accept(1).await;
        let mut control = Self {
            file: File::new(start.file),
            catalog: start.catalog,
            folder: start.folder,
            board: start.board,
            fleet,
            checks,
            binder: start.binder,
            quarantine: start.quarantine,
            probations: Vec::new(),
            watchdog: start.watchdog,
            config: start.config,
            named: start.named,
            resolved: uses,
            discovery: start.discovery,
            known,
            reusable: Reusable::of(&snapshot),
            seen: Ok(start.text),
            pending: None,
            tried,
            generation: 1,
            attempts: 0,
            retargets: 0,
            retargeted: None,
        };
        control.keep_text();
        warn_of_unverified(&control.config);
        descriptors::warn_of_too_few(control.config.limits.connections);
        control.published(&snapshot, trigger, vec!["started".to_owned()], notes);
        Ok(control)
    }
}

/// Waits until the files that lie in the folder at a start have come to rest.
pub(in crate::control) async fn settle(
    folder: &mut Folder,
    catalog: &mut Catalog,
    config: &Config,
) {
    /// A file that is being written all the time must not keep the gateway from starting.
    const PATIENCE: u32 = 20;
    for _ in 0..PATIENCE {
        match folder.refresh(catalog, config.loader.permissions).await {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return,
        }
    }
}
