//! The first generation: the reload from nothing.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Control, Named, Tried};
use crate::config::ConfigError;
use crate::config::ready::{Config, Listener};
use crate::control::assemble::{self, Reusable};
use crate::control::checks::Checks;
use crate::control::file::File;
use crate::control::fleet::{Fleet, bind_all};
use crate::control::folder::Folder;
use crate::control::resolve::{Trigger, resolve};
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
