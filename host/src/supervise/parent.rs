//! The parent: starts children, forwards signals, reads reports, hands sockets on. It loads no plugin.

use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::kept::Kept;
use super::link::PASSED;
use super::process::{Plan, Process, Seen};
use super::upgrade::Standing;
use super::wire::{self, Begin, Hello, Said, Told};
use crate::fault::report::Report;
use crate::life::notify::Notifier;
use crate::life::pid_file;

use signals::Signals;
use told::tell;
use upgrading::Running;

mod leaving;
mod rest;
mod signals;
mod told;
mod upgrading;

/// How long a child may take to be ready at an upgrade, until one says how long.
const UPGRADE: Duration = Duration::from_secs(30);

/// What is supervised.
#[derive(Debug)]
pub struct Supervised {
    /// How a child is started.
    pub plan: Plan,
    /// What an upgrade starts.
    pub exe: PathBuf,
    /// Where to write the number of this process.
    pub pid_file: Option<PathBuf>,
    /// The way to the service manager, on which is passed on what children say.
    pub notifier: Notifier,
    /// Sockets that it passed, with their names; the first child takes them.
    pub passed: Vec<(String, OwnedFd)>,
}

/// Supervises until a child ends as it should; the exit code to end with.
///
/// # Errors
/// The system gives no process, socket or signal.
pub fn run(supervised: Supervised) -> io::Result<u8> {
    let Supervised {
        plan,
        exe,
        pid_file: number,
        notifier,
        passed,
    } = supervised;
    let mut kept = Kept::default();
    for (name, socket) in passed {
        kept.add(format!("{PASSED}{name}"), vec![socket]);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let code = runtime.block_on(async {
        let mut signals = Signals::take()?;
        tokio::spawn(notifier.clone().stand_in());
        Parent::new(plan, exe, number.clone(), notifier)
            .supervise(kept, &mut signals)
            .await
    });
    if let Some(path) = &number {
        pid_file::remove(path);
    }
    code
}

struct Parent {
    plan: Plan,
    /// What an upgrade starts.
    exe: PathBuf,
    /// Where the number of this process is written once something serves.
    pid_file: Option<PathBuf>,
    notifier: Notifier,
    upgrading: Option<Running>,
    /// How the process is started that takes over; how it is started again, once it serves.
    next: Option<Plan>,
    /// How long that may take.
    limit: Duration,
    standing: Standing,
    /// Children that were replaced and drain.
    leaving: Vec<JoinHandle<()>>,
    /// Crashes that no child has written down yet.
    reports: Vec<Report>,
    /// How many children served.
    served: u64,
    workers: Option<usize>,
    deaths: Vec<Instant>,
    /// How often an operator asked for the end.
    stops: watch::Sender<u32>,
}

/// The child that serves or is to serve.
struct Serving {
    process: Process,
    /// Since when nobody serves.
    since: Instant,
    /// It said that it drains.
    ends: bool,
    /// The first report of its own end: whatever crashes on the way down is no crash of its own.
    crashed: Option<Report>,
    /// How many reports it was given.
    given: usize,
}

impl Parent {
    fn new(plan: Plan, exe: PathBuf, pid_file: Option<PathBuf>, notifier: Notifier) -> Self {
        Self {
            plan,
            exe,
            pid_file,
            notifier,
            upgrading: None,
            next: None,
            limit: UPGRADE,
            standing: Standing::default(),
            leaving: Vec::new(),
            reports: Vec::new(),
            served: 0,
            workers: None,
            deaths: Vec::new(),
            stops: watch::Sender::new(0),
        }
    }

    async fn supervise(mut self, kept: Kept, signals: &mut Signals) -> io::Result<u8> {
        let mut since = Instant::now();
        let mut running = self.start(since, kept)?;
        loop {
            let status = self.watch(&mut running, signals).await?;
            since = Instant::now();
            while let Some(said) = running.process.last_word().await {
                self.hear(&mut running, said);
            }
            if self.goes_on(&mut running, signals).await {
                continue;
            }
            if let Some(code) = self.is_the_end(&running, status) {
                self.see_off(signals).await;
                return Ok(code);
            }
            self.give_up("the process that serves is gone, and another one of it is started");
            if status.signal().is_none() {
                // It lived on after what was reported, and ended in another way.
                running.crashed = None;
            }
            tell(running.crashed.as_ref(), status, "starting again");
            let notifier = &self.notifier;
            notifier.status("the serving process died; another one is started");
            self.reports.extend(running.crashed.take());
            if !self.rest(signals).await {
                self.see_off(signals).await;
                return Ok(0);
            }
            let kept = std::mem::take(&mut running.process.kept);
            running = self.start(since, kept)?;
        }
    }

    fn start(&mut self, since: Instant, kept: Kept) -> io::Result<Serving> {
        self.notifier.waits_for_child();
        let begin = self.begin(None);
        Ok(Serving {
            process: Process::start(&self.plan, kept, begin)?,
            since,
            ends: false,
            crashed: None,
            given: self.reports.len(),
        })
    }

    fn begin(&mut self, replaces: Option<Hello>) -> Begin {
        wire::keep_newest(&mut self.reports);
        Begin {
            served: self.served,
            workers: self.workers,
            reports: self.reports.clone(),
            replaces,
            standing: self.standing.clone(),
        }
    }

    /// Until the child has ended that serves; which one that is may change meanwhile.
    async fn watch(
        &mut self,
        running: &mut Serving,
        signals: &mut Signals,
    ) -> io::Result<ExitStatus> {
        loop {
            let upgrading = async {
                match &mut self.upgrading {
                    Some(upgrading) => upgrading.taken.as_mut().await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                // First, because the end of the one that was replaced is none of what serves.
                taken = upgrading => {
                    self.upgrading = None;
                    self.upgraded(running, taken);
                }
                signal = signals.next() => match signal {
                    Signal::USR2 => self.upgrade(running),
                    signal => self.pass_on(running, signal),
                },
                seen = running.process.next() => match seen? {
                    Seen::Said(said) => self.hear(running, said),
                    Seen::Ended(status) => return Ok(status),
                },
            }
        }
    }

    /// Passes a signal on. The end is asked for in words: whoever signals the whole group of processes, as systemd does,
    /// reaches the child as well, and it could not tell a signal from here from a second request of the operator.
    fn pass_on(&mut self, running: &Serving, signal: Signal) {
        if signal == Signal::HUP {
            return running.process.signal(signal);
        }
        self.give_up("the gateway ends");
        self.stops.send_modify(|stops| *stops += 1);
        let now = *self.stops.borrow() > 1;
        match running.process.tell(&Told::End { now }) {
            Ok(()) => {
                tracing::info!(target: "supervisor", now, "told the serving process to end");
            }
            Err(_) => running.process.signal(signal),
        }
    }

    fn hear(&mut self, running: &mut Serving, said: Said) {
        match said {
            Said::ForgetAll(_) => running.ends = true,
            Said::Noted => {
                self.reports.drain(..running.given.min(self.reports.len()));
                running.given = 0;
            }
            Said::Serving { workers, .. } => {
                self.workers = Some(workers);
                if self.served > 0 {
                    let took = running.since.elapsed();
                    tracing::info!(target: "supervisor", took_ms = took.as_millis(), "serves again");
                } else if let Some(path) = &self.pid_file
                    && let Err(error) = pid_file::write(path)
                {
                    tracing::error!(target: "supervisor", "{error}");
                }
                self.served += 1;
            }
            Said::Notify(text) => self.notifier.pass_on(&text),
            Said::Crashed(report) => {
                running.crashed.get_or_insert(*report);
            }
            Said::UpgradeLimit { ms } => self.limit = Duration::from_millis(ms),
            Said::Upgrade => self.upgrade(running),
            // What is kept is seen to where it is heard; the log tells the rest as well.
            Said::Keep(_)
            | Said::Replace(_)
            | Said::Forget(..)
            | Said::Fails(_)
            | Said::Drops
            | Said::Ready
            | Said::Hello(_) => {}
        }
    }

    /// Whether this was the end of all, and with which exit code.
    fn is_the_end(&self, running: &Serving, status: ExitStatus) -> Option<u8> {
        let stopped = *self.stops.borrow() > 0;
        let code = |code: i32| u8::try_from(code).unwrap_or(1);
        match (status.code(), status.signal()) {
            (Some(own), _) if running.ends || stopped => Some(code(own)),
            // It never served: the configuration is wrong, or an address is taken, and it said so.
            (Some(own), _) if self.served == 0 => Some(code(own)),
            (None, Some(signal)) if stopped => Some(code(128 + signal)),
            _ => None,
        }
    }
}
