//! The rooms, made of what was read and bound, and joined: what a start needs, and what lasts as long as the process.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::{JoinHandle, spawn_local};

use super::privileged::Held;
use super::{Error, Options, upgrading};
use crate::admin::{self, Admin};
use crate::config::ready::Config;
use crate::control::apply::Start;
use crate::control::events::Event;
use crate::control::folder::{Folder, PREVIOUS};
use crate::control::pressure;
use crate::control::status::Board;
use crate::control::watch::Watch;
use crate::discovery::Discovery;
use crate::fault::breaker;
use crate::fault::quarantine::Quarantine;
use crate::fault::watchdog::Watchdog;
use crate::ops::services::Services;
use crate::plugin::catalog::{Catalog, Settings};
#[cfg(target_os = "linux")]
use crate::supervise::crash::end_hung;
use crate::supervise::link::Link;

/// The rooms.
pub(super) struct Joined {
    pub(super) start: Start,
    pub(super) watch: Watch,
    pub(super) admin: Answering,
}

/// The admin listener.
pub(super) struct Answering {
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// What it will do.
    waiting: Option<Pin<Box<dyn Future<Output = ()>>>>,
    task: Option<JoinHandle<()>>,
}

impl Answering {
    /// Begins to answer, where it does not yet.
    pub(super) fn begin(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            self.task = Some(spawn_local(waiting));
        }
    }

    /// Answers nobody any more.
    pub(super) fn end(&self) {
        self.task.iter().for_each(JoinHandle::abort);
    }
}

/// Makes the rooms. From here on files and folders are watched, and the admin listener answers, but in an upgrade.
pub(super) fn join(
    options: &Options,
    held: Held,
    events: &UnboundedSender<Event>,
) -> Result<Joined, Error> {
    let config = held.config;
    let catalog = Catalog::new(Settings {
        state_dir: config.state_dir.clone(),
        exe: options.exe.clone(),
        loader: config.loader.clone(),
        workers: config.workers,
        services: Services::new(&config),
    })
    .map_err(Error::State)?;
    let quarantine = quarantine(options.link.as_deref(), &config);
    let watchdog = Watchdog::default();
    watch_over(&watchdog, &config, options.parent().is_some())?;
    let board = Board::new(config.workers);
    let metrics = Arc::clone(catalog.metrics());
    metrics.admission.refused.keep(config.admin.refused);
    spawn_local(pressure::watch(Arc::clone(&metrics)));
    let address = held.admin.local_addr().unwrap_or(config.admin.address);
    let shown = Admin {
        board: board.clone(),
        images: catalog.view(),
        metrics: Arc::clone(&metrics),
        token: config.admin.token.clone(),
        watchdog: watchdog.clone(),
    };
    let mut admin = Answering {
        address,
        waiting: Some(Box::pin(admin::serve(held.admin, shown))),
        task: None,
    };
    // In an upgrade the process before answers until this one serves.
    if !options.replaces() {
        admin.begin();
    }
    upgrades(&board, options.link.as_ref());
    let mut folder = Folder::new(config.plugins_dir.clone(), &metrics);
    folder.fall_back_to(config.state_dir.join(PREVIOUS));
    // Watching begins before the first look, so that nothing falls between the two.
    let watch = Watch::start(&config.plugins_dir, &options.config, events);
    let ear = events.clone();
    let moved = move || {
        let _ = ear.send(Event::Targets);
    };
    let start = Start {
        file: options.config.clone(),
        text: held.source.text,
        config,
        catalog,
        folder,
        board,
        binder: held.binder,
        quarantine,
        watchdog,
        discovery: Discovery::new(moved, Arc::clone(&metrics.events), address),
        named: held.named,
    };
    Ok(Joined {
        start,
        watch,
        admin,
    })
}

/// The files that are not taken any more, with those that made a process before this one crash.
fn quarantine(link: Option<&Link>, config: &Config) -> Quarantine {
    let mut quarantine = Quarantine::open(&config.state_dir);
    for report in link.iter().flat_map(|link| link.reports()) {
        quarantine.crashed(report, config.faults.crashes);
    }
    if let Some(link) = link {
        link.noted();
    }
    quarantine
}

/// Has the watchdog and the breakers go by the configuration.
fn watch_over(watchdog: &Watchdog, config: &Config, supervised: bool) -> Result<(), Error> {
    breaker::set(config.faults.breaker);
    let faults = &config.faults;
    watchdog.set(faults.hook_budget, faults.hung, supervised);
    let started = watchdog.start(end_hung);
    started.map_err(|error| Error::Other(format!("cannot start the watchdog: {error}")))
}

#[cfg(not(target_os = "linux"))]
fn end_hung(_thread: i32) {
    std::process::abort();
}

/// Shows how upgrades went, as the process that started this one knows it.
fn upgrades(board: &Board, link: Option<&Arc<Link>>) {
    let Some(link) = link else {
        return;
    };
    let known = link.standing();
    let supervisor = link.is_supervised().then(|| link.starter());
    board.update(|status| {
        status.upgrade = known;
        status.supervisor = supervisor;
    });
    if supervisor.is_some() {
        let (link, board) = (Arc::clone(link), board.clone());
        spawn_local(async move { upgrading::follow(&link, &board).await });
    }
}
