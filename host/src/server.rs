//! Joins the rooms: everything from a configuration file to a drained process.
//!
//! `main` and the tests start exactly this.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::admin::{self, Admin};
use crate::config::ready::Config;
use crate::config::{self, ConfigError, Source, System};
use crate::control::apply::{Control, Named, Start, StartError, cannot_bind};
use crate::control::events::Event;
use crate::control::folder::{Folder, PREVIOUS};
use crate::control::pressure;
use crate::control::status::Board;
use crate::control::watch::{Signals, Watch};
use crate::discovery::Discovery;
use crate::fault::breaker;
use crate::fault::quarantine::Quarantine;
use crate::fault::watchdog::Watchdog;
use crate::life::notify::Notifier;
use crate::life::passed::Passed;
use crate::life::pid_file;
use crate::life::privileges::{self, Account, PrivilegeError};
use crate::life::tell::{self, Teller};
use crate::ops::services::Services;
use crate::panics::{self, Part, fault};
use crate::plugin::Refusal;
use crate::plugin::catalog::{Catalog, Settings};
use crate::socket::descriptors;
use crate::supervise::binder::Binder;
use crate::supervise::link::Link;
use crate::supervise::origin::Origin;
use crate::supervise::upgrade::Who;

use draining::{End, drain};
use upgrading::Upgrading;

mod draining;
mod upgrading;

/// How often the folder and the file are looked at without an event: the system may lose some, and gives none for the
/// target of a link into another folder.
const RESCAN: Duration = Duration::from_secs(10);
/// Events that come in this time count as one: an editor's save is several.
const MERGE: Duration = Duration::from_millis(20);
/// How often versions on probation are looked at.
const JUDGE: Duration = Duration::from_millis(100);

/// What to serve.
pub struct Options {
    /// The configuration file.
    pub config: PathBuf,
    /// Where to write the bound addresses once everything serves.
    pub announce: Option<PathBuf>,
    /// The gateway's own executable, which preflights start.
    pub exe: PathBuf,
    /// The way to the process that started this one, if that supervises it or is to be replaced by it.
    pub link: Option<Arc<Link>>,
    /// Sockets that a service manager passed.
    pub passed: Passed,
    /// The way to the service manager.
    pub notifier: Notifier,
    /// What an upgrade starts.
    pub origin: Origin,
    /// Where to write the number of the process once it serves.
    pub pid_file: Option<PathBuf>,
}

/// Why the gateway does not serve.
#[derive(Debug)]
pub enum Error {
    /// The configuration is wrong: all of it.
    Config(Vec<ConfigError>),
    /// The state folder cannot be used.
    State(Refusal),
    /// Anything else, in one sentence.
    Other(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Config(errors) => {
                let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
                f.write_str(&texts.join("; "))
            }
            Self::State(refusal) => refusal.fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// Serves until SIGTERM or SIGINT, or until another process does in its place; then drains.
///
/// # Errors
/// What keeps it from serving.
pub fn run(options: &Options) -> Result<(), Error> {
    let source = Source::read(&options.config).map_err(|error| vec![error]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_name("control")
        .build()
        .map_err(|error| Error::Other(format!("cannot start the control thread: {error}")))?;
    let outcome = LocalSet::new().block_on(&runtime, serve(options, source));
    // Whatever still runs beside it must not keep the process from ending.
    runtime.shutdown_background();
    outcome
}

async fn serve(options: &Options, source: Result<Source, Vec<ConfigError>>) -> Result<(), Error> {
    panics::install();
    // Before anything that takes time, so that a signal at a bad moment is never the default one.
    let mut signals =
        Signals::take().map_err(|error| Error::Other(format!("cannot take signals: {error}")))?;
    descriptors::raise();
    let link = options.link.clone();
    let replaces = link.as_ref().is_some_and(|link| link.replaces().is_some());
    let (source, mut config) = configuration(options, source).map_err(Error::Config)?;
    supervised(link.as_deref(), &mut config)?;
    let account = Account::of(&config.process).map_err(not_so)?;
    options.passed.settle(&config);
    let binder = Binder::new(link.clone()).with_passed(options.passed.clone());
    let (events, mut seen) = unbounded_channel();
    let admin_socket = binder.bind_admin(config.admin.address).and_then(tokio::net::TcpListener::from_std).map_err(|error| {
        Error::Other(format!("the admin listener cannot bind {}: {error}; end what listens there, or choose another address", config.admin.address))
    })?;
    let admin_address = admin_socket.local_addr().unwrap_or(config.admin.address);
    make_folder(&config.plugins_dir)?;
    let named = Named::start(&config).map_err(Error::Config)?;
    let ahead = binder.bind_ahead(&config, account.as_ref());
    ahead.map_err(|failed| explain(StartError::Bind(failed)))?;
    if account.as_ref().is_some_and(Account::becomes) {
        let kept = binder.keep_last_text(&source.text);
        kept.map_err(|error| Error::Other(format!("the supervising process is gone: {error}")))?;
    }
    drop_privileges(account.as_ref(), &config, &named)?;
    let catalog = Catalog::new(Settings {
        state_dir: config.state_dir.clone(),
        exe: options.exe.clone(),
        loader: config.loader.clone(),
        workers: config.workers,
        services: Services::new(&config),
    })
    .map_err(Error::State)?;
    let mut quarantine = Quarantine::open(&config.state_dir);
    for report in link.iter().flat_map(|link| link.reports()) {
        quarantine.crashed(report, config.faults.crashes);
    }
    if let Some(link) = &link {
        link.noted();
    }
    let watchdog = Watchdog::default();
    let parent = link.as_deref().filter(|link| link.is_supervised());
    watch_over(&watchdog, &config, parent.is_some())?;
    let workers = config.workers;
    let board = Board::new(workers);
    catalog
        .metrics()
        .admission
        .refused
        .keep(config.admin.refused);
    let admin = Admin {
        board: board.clone(),
        images: catalog.view(),
        metrics: Arc::clone(catalog.metrics()),
        token: config.admin.token.clone(),
        watchdog: watchdog.clone(),
    };
    spawn_local(pressure::watch(Arc::clone(catalog.metrics())));
    let admin = admin::serve(admin_socket, admin);
    // In an upgrade the process before answers until this one serves.
    let (mut admin, waiting) = if replaces {
        (None, Some(admin))
    } else {
        (Some(spawn_local(admin)), None)
    };
    upgrades(&board, link.as_ref());
    let mut folder = Folder::new(config.plugins_dir.clone(), catalog.metrics());
    folder.fall_back_to(config.state_dir.join(PREVIOUS));
    // Watching begins before the first look, so that nothing falls between the two.
    let mut watch = Watch::start(&config.plugins_dir, &options.config, &events);
    let sockets = binder.clone();
    let ear = events.clone();
    let moved = move || {
        let _ = ear.send(Event::Targets);
    };
    let discovery = Discovery::new(moved, Arc::clone(catalog.metrics()), admin_address);
    let start = Start {
        file: options.config.clone(),
        text: source.text,
        config,
        catalog,
        folder,
        board,
        binder,
        quarantine,
        watchdog: watchdog.clone(),
        discovery,
        named,
    };
    let mut control = tokio::select! {
        biased;
        signal = end(&mut signals, &events, parent) => {
            tracing::info!(target: "control", signal, "ended before it served");
            if replaces {
                return Err(Error::Other(format!("ended before it served, by {signal}")));
            }
            // Its end is wanted, so sockets that a process before it left in the file system go as well.
            sockets.release_all();
            return Ok(());
        }
        control = Control::start(start) => control.map_err(explain)?,
    };
    let notifier = options.notifier.clone();
    let teller = Teller::new(notifier.clone(), control.board.clone(), watchdog);
    if !replaces {
        tell_where(options, &control, admin_address)?;
    }
    if let Some(waiting) = waiting {
        admin = Some(spawn_local(waiting));
    }
    if let Some(link) = &link {
        let gone = link.others();
        // Where a parent supervises, it is the one to know.
        if let Some(before) = link.replaces().filter(|_| parent.is_none()) {
            let before = Who::from(before);
            let board = &control.board;
            board.update(|status| status.upgrade.ends(before, Ok(Who::own())));
        }
        link.serves(workers, gone);
        link.close_others();
    }
    if replaces && let Err(error) = tell_where(options, &control, admin_address) {
        // It accepts already, and the process before ends: what says where is not worth the connections.
        tracing::error!(target: "control", "{error}");
    }
    // Not earlier: a process before this one might have to go on, which remembers what its own build tried.
    control.catalog.forget_other_builds();
    spawn_local(panics::contained(Part::Control, teller.run()));
    let mut upgrading = Upgrading::new(&options.origin, parent, &notifier);
    let ended = {
        let sight = (&notifier, parent.is_some());
        let changing = change(&mut control, &mut seen, &mut watch, sight, &mut upgrading);
        let mut changing = Box::pin(changing);
        tokio::select! {
            biased;
            signal = end(&mut signals, &events, parent) => Ok(End::Asked(signal)),
            changed = panics::isolated(Part::Control, changing.as_mut()) => changed.unwrap_or_else(|panicked| {
                panicked.say();
                Err("a change panicked, and no other is made".to_owned())
            }),
        }
    };
    drop(watch);
    let ended = match ended {
        Err(broken) => {
            let asked = end(&mut signals, &events, parent);
            let ill = (broken, parent.is_some());
            outlive(&control, ill, asked, &mut seen, &mut upgrading).await?
        }
        Ok(ended) => ended,
    };
    let ended = match ended {
        End::Asked(signal) => match upgrading.settle(&control.board, signal).await {
            Some(gone) => End::Replaced(gone),
            None => End::Asked(signal),
        },
        ended @ End::Replaced(_) => ended,
    };
    let replaced = matches!(ended, End::Replaced(_));
    match &ended {
        End::Asked(signal) => notifier.stopping(&format!("draining after {signal}")),
        End::Replaced(_) => {
            // Whoever asks now is answered by the process that serves, and that one speaks for the service.
            admin.iter().for_each(JoinHandle::abort);
            notifier.hush();
        }
    }
    let again = async {
        if replaced && parent.is_none() {
            // The first one asks for what it does already.
            let signal = end_now(&mut signals, &events, parent).await;
            tracing::info!(target: "control", signal, "draining already; another signal ends what still runs");
        }
        end_now(&mut signals, &events, parent).await
    };
    let board = control.board.clone();
    tokio::select! {
        biased;
        () = Box::pin(drain(control, ended, again)) => {}
        () = upgrading.refuse(&board, &mut seen, replaced) => {}
    }
    if let Some(path) = options.pid_file.as_deref().filter(|_| parent.is_none()) {
        pid_file::remove(path);
    }
    admin.iter().for_each(JoinHandle::abort);
    Ok(())
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

/// Control is broken: what serves goes on, unhealthy, until somebody ends it. Where a process supervises this one, it ends by
/// itself, so that a new one begins; where none does, an upgrade is the way to one.
async fn outlive(
    control: &Control,
    (broken, supervised): (String, bool),
    end: impl Future<Output = &'static str>,
    seen: &mut UnboundedReceiver<Event>,
    upgrading: &mut Upgrading<'_>,
) -> Result<End, Error> {
    breaks(control, broken.clone());
    let mut end = pin!(end);
    if supervised {
        control.quit(draining::LAST_WORD, draining::LAST_WORD).await;
        let text = format!("{broken}; a new process takes over");
        return Err(Error::Other(text));
    }
    loop {
        tokio::select! {
            biased;
            signal = end.as_mut() => return Ok(End::Asked(signal)),
            gone = upgrading.replaced(&control.board) => {
                if let Some(gone) = gone {
                    return Ok(End::Replaced(gone));
                }
            }
            Some(event) = seen.recv() => {
                if matches!(event, Event::Upgrade) {
                    upgrading.begin(control);
                }
            }
        }
    }
}

/// Shows that something is lost that only a new process has.
fn breaks(control: &Control, broken: String) {
    tracing::error!(target: "control", "{broken}; what serves goes on, and /healthz and /readyz say no until a new process serves");
    control.board.update(|status| status.broken = Some(broken));
}

/// What the file says; or, where it is wrong and a process before this one crashed, what that one served: nobody asked for
/// a start, so the file has the time to be mended.
fn configuration(
    options: &Options,
    source: Result<Source, Vec<ConfigError>>,
) -> Result<(Source, Config), Vec<ConfigError>> {
    let read = source.and_then(|source| {
        let config = config::load(&source, &System)?;
        Ok((source, config))
    });
    let link = options.link.as_ref();
    // In an upgrade somebody asked for a start.
    let link = link.filter(|link| link.replaces().is_none());
    match (read, link.and_then(|link| link.served_text())) {
        (Err(errors), Some(text)) => {
            for error in &errors {
                tracing::error!(target: "control", "the configuration of before serves on: {error}");
            }
            let source = Source::of(&options.config, text);
            let config = config::load(&source, &System).map_err(|_| errors)?;
            Ok((source, config))
        }
        (read, _) => read,
    }
}

/// What a supervised process does before anything else.
fn supervised(link: Option<&Link>, config: &mut Config) -> Result<(), Error> {
    let Some(link) = link else {
        return Ok(());
    };
    #[cfg(target_os = "linux")]
    if link.is_supervised() {
        link.socket()
            .try_clone_to_owned()
            .and_then(crate::supervise::crash::install)
            .map_err(|error| {
                Error::Other(format!("cannot install the handler of crashes: {error}"))
            })?;
    }
    if let Some(workers) = link.workers().filter(|workers| *workers != config.workers) {
        tracing::warn!(target: "control", workers, "the number of workers stays {workers} until the gateway is restarted, because each has its sockets");
        config.workers = workers;
    }
    Ok(())
}

/// Becomes the user that the configuration names: everything is bound, and nothing of a plugin has run.
fn drop_privileges(account: Option<&Account>, config: &Config, named: &Named) -> Result<(), Error> {
    let Some(account) = account else {
        return Ok(());
    };
    account.make_folder(&config.state_dir).map_err(not_so)?;
    account.become_it().map_err(not_so)?;
    account.can_write(&config.state_dir).map_err(not_so)?;
    if account.becomes() {
        let user = account.name();
        tracing::info!(target: "control", user, "dropped the privileges of root");
    }
    if let Some(warning) = privileges::unreadable(account, named.paths()) {
        tracing::warn!(target: "control", "{warning}");
    }
    Ok(())
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what `map_err` wants to call"
)]
fn not_so(error: PrivilegeError) -> Error {
    Error::Other(error.to_string())
}

/// Has the watchdog and the breakers go by the configuration.
fn watch_over(watchdog: &Watchdog, config: &Config, supervised: bool) -> Result<(), Error> {
    breaker::set(config.faults.breaker);
    let faults = &config.faults;
    watchdog.set(faults.hook_budget, faults.hung, supervised);
    let started = watchdog.start();
    started.map_err(|error| Error::Other(format!("cannot start the watchdog: {error}")))
}

/// Waits for a signal that ends the process, or for the end of the process that supervises this one.
async fn end(
    signals: &mut Signals,
    events: &UnboundedSender<Event>,
    link: Option<&Link>,
) -> &'static str {
    let Some(link) = link else {
        return signals.end(events).await;
    };
    tokio::select! {
        signal = signals.end(events) => signal,
        who = link.end() => who,
    }
}

/// Waits, while it drains, for a request to end at once. Where a parent supervises, it is the one to count them: a signal
/// to the whole group of processes, as systemd sends it, reaches both and is one request.
async fn end_now(
    signals: &mut Signals,
    events: &UnboundedSender<Event>,
    link: Option<&Link>,
) -> &'static str {
    let Some(link) = link else {
        return signals.end(events).await;
    };
    loop {
        tokio::select! {
            signal = signals.end(events) => {
                if link.is_orphan() {
                    return signal;
                }
            }
            () = link.end_now() => return "told by the supervising process",
        }
    }
}

/// One change at a time; what happens meanwhile is merged into the next. Until another process serves, or what broke where a
/// process supervises this one and can start another.
async fn change(
    control: &mut Control,
    seen: &mut UnboundedReceiver<Event>,
    watch: &mut Watch,
    (notifier, supervised): (&Notifier, bool),
    upgrading: &mut Upgrading<'_>,
) -> Result<End, String> {
    let losses = control.losses();
    let mut rescan = interval(RESCAN);
    rescan.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut judge = interval(JUDGE);
    judge.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut again: Option<Instant> = None;
    let mut read_again: Option<(Instant, bool)> = None;
    let mut files_again: Option<Instant> = None;
    let mut targets_again: Option<Instant> = None;
    let mut due = Due::default();
    loop {
        watch.follow(control.named_files());
        tokio::select! {
            event = seen.recv() => match event {
                Some(Event::Upgrade) => upgrading.begin(control),
                Some(event) => due.add(event),
                None => return Err("nothing tells of changes any more".to_owned()),
            },
            gone = upgrading.replaced(&control.board) => {
                if let Some(gone) = gone {
                    return Ok(End::Replaced(gone));
                }
            }
            worker = losses.next() => {
                let broken = format!("worker {worker} panicked and has ended");
                if supervised {
                    return Err(broken);
                }
                control.let_go();
                breaks(control, broken);
                continue;
            }
            retired = control.catalog.retired() => {
                if let Some(retired) = retired {
                    control.catalog.on_retired(retired);
                }
                control.show();
                continue;
            }
            _ = judge.tick(), if control.is_on_probation() => {
                control.judge().await;
                continue;
            }
            _ = rescan.tick() => {
                due.add(Event::Folder);
                due.add(Event::Config { asked: false });
                due.add(Event::Files);
                watch.renew();
            }
            () = until(again), if again.is_some() => due.add(Event::Folder),
            () = until(files_again), if files_again.is_some() => due.add(Event::Files),
            () = until(targets_again), if targets_again.is_some() => due.add(Event::Targets),
            () = until(read_again.map(|(at, _)| at)), if read_again.is_some() => {
                due.add(Event::Config { asked: false });
            }
        }
        fault::point("change");
        tokio::time::sleep(MERGE).await;
        while let Ok(event) = seen.try_recv() {
            match event {
                Event::Upgrade => upgrading.begin(control),
                event => due.add(event),
            }
        }
        if std::mem::take(&mut due.targets) {
            let wait = control.rediscover().await;
            targets_again = wait.map(|wait| Instant::now() + wait);
        }
        if upgrading.is_under_way(&control.board) {
            // The new process reads for itself what lies there. What changed now changes here only if that one fails.
            due.folder |= again.take().is_some();
            due.files |= files_again.take().is_some();
            if let Some((_, asked)) = read_again.take() {
                due.add(Event::Config { asked });
            }
            continue;
        }
        if let Some(asked) = due.config.take() {
            // Who asked has asked until the file was read.
            let asked = asked || read_again.take().is_some_and(|(_, asked)| asked);
            if asked {
                notifier.reloading();
            }
            let wait = control.reload(asked).await;
            if asked {
                notifier.reloaded(&control.board.read(tell::line));
            }
            read_again = wait.map(|wait| (Instant::now() + wait, asked));
        }
        if std::mem::take(&mut due.files) {
            let wait = control.look_at_files().await;
            files_again = wait.map(|wait| Instant::now() + wait);
        }
        if std::mem::take(&mut due.folder) {
            again = control.rescan().await.map(|wait| Instant::now() + wait);
        }
        control.show();
    }
}

/// What is to be looked at.
#[derive(Default)]
struct Due {
    folder: bool,
    files: bool,
    targets: bool,
    config: Option<bool>,
}

impl Due {
    fn add(&mut self, event: Event) {
        match event {
            Event::Folder => self.folder = true,
            Event::Files => self.files = true,
            Event::Targets => self.targets = true,
            Event::Upgrade => {}
            Event::Config { asked } => self.config = Some(asked || self.config == Some(true)),
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn explain(error: StartError) -> Error {
    match error {
        StartError::Config(errors) => Error::Config(errors),
        StartError::Bind(failed) => Error::Other(cannot_bind(&failed.0, &failed.1)),
        StartError::Routes(error) => Error::Other(error.to_string()),
        StartError::Turn(text) => Error::Other(text),
        StartError::System(error) => Error::Other(format!("cannot start the workers: {error}")),
    }
}

/// Makes the plugins folder where there is none, so that it can be watched; nobody else may write to it.
fn make_folder(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt as _;
    if path.exists() {
        return Ok(());
    }
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path);
    made.map_err(|error| {
        let path = path.display();
        Error::Other(format!("cannot make the plugins folder {path}: {error}; make it, or name another as plugins_dir"))
    })
}

/// Writes the files that say where everything listens, and as which process.
fn tell_where(
    options: &Options,
    control: &Control,
    admin: std::net::SocketAddr,
) -> Result<(), Error> {
    if let Some(path) = &options.announce {
        announce(path, control, admin)?;
    }
    let parent = options.link.as_ref().filter(|link| link.is_supervised());
    match &options.pid_file {
        Some(path) if parent.is_none() => pid_file::write(path).map_err(Error::Other),
        _ => Ok(()),
    }
}

/// Writes where everything listens: written aside and renamed, so that a reader sees all of it or nothing.
fn announce(path: &Path, control: &Control, admin: std::net::SocketAddr) -> Result<(), Error> {
    let listeners = control.board.read(|status| status.listeners.clone());
    let document = json!({ "pid": std::process::id(), "listeners": listeners, "admin": admin });
    let aside = path.with_extension("part");
    let written: io::Result<()> = std::fs::write(&aside, format!("{document}\n"))
        .and_then(|()| std::fs::rename(&aside, path));
    written.map_err(|error| Error::Other(format!("cannot write {}: {error}", path.display())))
}
