//! Joins the rooms: everything from a configuration file to a drained process.
//!
//! `main` and the tests start exactly this. In the order of a life:
//!
//! - `privileged`: what is read and bound before the process becomes somebody else;
//! - `joining`: the rooms, made of that;
//! - `announcing`: who is told that it serves, and `telling`: what the service manager is told;
//! - `changing`: one change after the other, until it ends;
//! - `ending`: who may end it;
//! - `draining`: the end itself;
//! - `upgrading`: the end that is another process's beginning.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc::unbounded_channel;
use tokio::task::{LocalSet, spawn_local};

use crate::config::{ConfigError, Source};
use crate::control::apply::{Control, StartError, cannot_bind};
use crate::control::watch::Signals;
use crate::life::notify::Notifier;
use crate::life::passed::Passed;
use crate::life::pid_file;
use crate::panics::{self, Part};
use crate::plugin::Refusal;
use crate::socket::descriptors;
use crate::supervise::link::Link;
use crate::supervise::origin::Origin;

use changing::until_ended;
use draining::{End, drain};
use ending::Ends;
use joining::Joined;
use telling::Teller;
use upgrading::Upgrading;

mod announcing;
mod changing;
mod draining;
mod ending;
mod joining;
mod privileged;
mod telling;
mod upgrading;

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

impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Config(errors) => Self::Config(errors),
            StartError::Bind(failed) => Self::Other(cannot_bind(&failed.0, &failed.1)),
            StartError::Routes(error) => Self::Other(error.to_string()),
            StartError::Turn(text) => Self::Other(text),
            StartError::System(error) => Self::Other(format!("cannot start the workers: {error}")),
        }
    }
}

impl Options {
    /// The process that supervises this one, if one does.
    fn parent(&self) -> Option<&Link> {
        self.link.as_deref().filter(|link| link.is_supervised())
    }

    /// Whether another process serves until this one does.
    fn replaces(&self) -> bool {
        let link = self.link.as_ref();
        link.is_some_and(|link| link.replaces().is_some())
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
    let signals =
        Signals::take().map_err(|error| Error::Other(format!("cannot take signals: {error}")))?;
    descriptors::raise();
    let (parent, notifier) = (options.parent(), &options.notifier);
    let (events, mut seen) = unbounded_channel();
    let mut ends = Ends::new(signals, events.clone(), parent);
    let held = privileged::hold(options, source)?;
    let Joined {
        start,
        watch,
        mut admin,
    } = joining::join(options, held, &events)?;
    let (sockets, watchdog) = (start.binder.clone(), start.watchdog.clone());
    let workers = start.config.workers;
    let mut control = tokio::select! {
        biased;
        signal = ends.next() => {
            tracing::info!(target: "control", signal, "ended before it served");
            if options.replaces() {
                return Err(Error::Other(format!("ended before it served, by {signal}")));
            }
            // Its end is wanted, so sockets that a process before it left in the file system go as well.
            sockets.release_all();
            return Ok(());
        }
        control = Control::start(start) => control?,
    };
    announcing::serves(options, &control, workers, &mut admin)?;
    // Not earlier: a process before this one might have to go on, which remembers what its own build tried.
    control.catalog.forget_other_builds();
    let teller = Teller::new(notifier.clone(), control.board.clone(), watchdog);
    spawn_local(panics::contained(Part::Control, teller.run()));
    let mut upgrading = Upgrading::new(&options.origin, parent, notifier);
    let changes = (&mut seen, watch);
    let ended = until_ended(&mut control, changes, &mut ends, notifier, &mut upgrading).await?;
    let replaced = matches!(ended, End::Replaced(_));
    match &ended {
        End::Asked(signal) => notifier.stopping(&format!("draining after {signal}")),
        End::Replaced(_) => {
            // Whoever asks now is answered by the process that serves, and that one speaks for the service.
            admin.end();
            notifier.hush();
        }
    }
    let board = control.board.clone();
    tokio::select! {
        biased;
        () = Box::pin(drain(control, ended, ends.again(replaced))) => {}
        () = upgrading.refuse(&board, &mut seen, replaced) => {}
    }
    if let Some(path) = options.pid_file.as_deref().filter(|_| parent.is_none()) {
        pid_file::remove(path);
    }
    admin.end();
    Ok(())
}
