//! The parent: starts children, forwards signals, reads reports, hands sockets on. It loads no plugin.

use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::kept::Kept;
use super::link::PASSED;
use super::process::{Plan, Process, Seen};
use super::report::Report;
use super::takeover::{Taken, take_over};
use super::turn::Turn;
use super::upgrade::{GATEWAY_ENDS, Standing, Who};
use super::wire::{self, Begin, Hello, Said, Told};
use crate::life::notify::Notifier;
use crate::life::pid_file;

/// How often more time is asked of the service manager while replaced children drain, and how much.
const AGAIN: Duration = Duration::from_secs(3);
const MORE: Duration = Duration::from_secs(15);
/// Deaths within this time make the next start wait.
const RECENT: Duration = Duration::from_secs(60);
/// So many of them do not: a file is put into quarantine after some.
const AT_ONCE: u32 = 5;
/// The first and the longest wait.
const WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
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

/// An upgrade that is under way.
struct Running {
    taken: Pin<Box<dyn Future<Output = Result<Taken, String>>>>,
    turn: Turn,
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

    /// Has what lies under the name of the executable now take over, unless that is under way or all ends.
    fn upgrade(&mut self, running: &mut Serving) {
        if self.upgrading.is_some() {
            tracing::warn!(target: "supervisor", "an upgrade is under way already; wait for its outcome, which the log and /status tell");
            return;
        }
        if *self.stops.borrow() > 0 || running.ends {
            return self.refuse(running, GATEWAY_ENDS);
        }
        let Some(who) = running.process.who.clone().filter(|_| self.served > 0) else {
            return self.refuse(running, "nothing serves yet; ask again when it does");
        };
        self.standing.begins();
        let exe = self.exe.display();
        tracing::info!(target: "supervisor", "upgrade: starting {exe}, process {} serves on until that one does", who.pid);
        let kept = match running.process.kept.try_clone() {
            Ok(kept) => kept,
            Err(error) => {
                let why = format!("no copies can be made of the sockets: {error}");
                return self.upgraded(running, Err(why));
            }
        };
        // Opened by this process: nobody else has a say in what is started again after a crash.
        let plan = match self.plan.of(self.exe.clone()) {
            Ok(plan) => plan,
            Err(error) => {
                let why = format!("{} cannot be started: {error}", self.exe.display());
                return self.upgraded(running, Err(why));
            }
        };
        self.next = Some(plan.clone());
        let begin = self.begin(Some(who));
        running.given = self.reports.len();
        let turn = Turn::default();
        let taken = take_over(plan, kept, begin, self.limit, turn.clone());
        self.upgrading = Some(Running {
            taken: Box::pin(taken),
            turn,
        });
        self.say_how_it_goes(running);
    }

    /// Begins none, and says why where whoever asked finds it.
    fn refuse(&mut self, running: &Serving, why: &str) {
        tracing::warn!(target: "supervisor", "no upgrade, because {why}");
        let who = running.process.who.as_ref();
        let from = who.map_or_else(Who::own, Who::from);
        self.standing.is_refused(from, why);
        self.say_how_it_goes(running);
    }

    /// An upgrade is over. With a process that serves, that is the one from here on.
    fn upgraded(&mut self, running: &mut Serving, taken: Result<Taken, String>) {
        let from = running
            .process
            .who
            .as_ref()
            .map_or_else(Who::own, Who::from);
        let taken = match taken {
            Ok(taken) => taken,
            Err(why) => {
                tracing::error!(target: "supervisor", "upgrade refused, process {} serves on: {why}", from.pid);
                self.standing.ends(from, Err(why));
                return self.say_how_it_goes(running);
            }
        };
        let to = taken.process.who.as_ref().map_or_else(Who::own, Who::from);
        // The one place where it is known that the new process serves.
        tracing::info!(target: "supervisor", pid = to.pid, version = to.version, "upgrade: process {} serves, swapgate {}", to.pid, to.version);
        if let Some(plan) = self.next.take() {
            self.plan = plan;
        }
        self.standing.ends(from, Ok(to));
        self.served += 1;
        self.workers = Some(taken.workers);
        if taken.noted {
            self.reports.drain(..running.given.min(self.reports.len()));
        }
        let new = Serving {
            process: taken.process,
            since: Instant::now(),
            ends: false,
            crashed: None,
            given: 0,
        };
        let mut old = std::mem::replace(running, new);
        // The next process writes it down.
        self.reports.extend(old.crashed.take());
        self.say_how_it_goes(running);
        self.notifier.waits_for_child();
        let gone = taken.gone;
        let _ = old.process.tell(&Told::Replaced { gone });
        let stops = *self.stops.borrow();
        if stops > 0 {
            // It was asked for after the turn came, and this one has not heard of it.
            let _ = running.process.tell(&Told::End { now: stops > 1 });
        }
        self.leaving.retain(|one| !one.is_finished());
        let leaving = leave(old.process, self.stops.subscribe());
        self.leaving.push(tokio::spawn(leaving));
    }

    fn say_how_it_goes(&self, running: &Serving) {
        // Where it is gone, that is seen where it is waited for.
        let standing = Box::new(self.standing.clone());
        let _ = running.process.tell(&Told::Upgrade(standing));
    }

    /// The process that served is gone: whether the one whose turn it is goes on in its place.
    async fn goes_on(&mut self, running: &mut Serving, signals: &mut Signals) -> bool {
        let Some(mut upgrading) = self.upgrading.take_if(|one| one.turn.came()) else {
            return false;
        };
        let taken = loop {
            tokio::select! {
                biased;
                taken = upgrading.taken.as_mut() => break taken,
                () = signals.end() => self.stops.send_modify(|stops| *stops += 1),
            }
        };
        let goes_on = taken.is_ok();
        self.upgraded(running, taken);
        goes_on
    }

    /// Gives up an upgrade that is under way, and ends the process that would have taken over; unless that took its turn, for
    /// it may have accepted connections.
    fn give_up(&mut self, why: &str) {
        if self.upgrading.take_if(|one| one.turn.take_back()).is_some() {
            tracing::warn!(target: "supervisor", "the upgrade is given up: {why}");
            self.standing.ends(Who::own(), Err(why.to_owned()));
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

    /// Rests before the next start where there were many deaths; false if an operator asked for the end meanwhile.
    async fn rest(&mut self, signals: &mut Signals) -> bool {
        let now = Instant::now();
        self.deaths.retain(|at| now.duration_since(*at) < RECENT);
        self.deaths.push(now);
        let deaths = u32::try_from(self.deaths.len()).unwrap_or(u32::MAX);
        let wait = wait_after(deaths);
        if wait.is_zero() {
            return true;
        }
        tracing::error!(target: "supervisor", deaths, "the serving process died again and again; the next start waits {wait:?}, and connections with it");
        tokio::select! {
            () = tokio::time::sleep(wait) => true,
            () = signals.end() => false,
        }
    }

    /// Waits for those that were replaced and drain, which have a limit of their own.
    async fn see_off(&mut self, signals: &mut Signals) {
        self.give_up("the gateway ends");
        // They say no more to the service manager, which would end them at its own limit.
        self.notifier.waits_for_child();
        let mut again = tokio::time::interval(AGAIN);
        for leaving in std::mem::take(&mut self.leaving) {
            let mut leaving = std::pin::pin!(leaving);
            loop {
                tokio::select! {
                    _ = &mut leaving => break,
                    _ = again.tick() => self.notifier.extend(MORE),
                    () = signals.end() => self.stops.send_modify(|stops| *stops += 1),
                }
            }
        }
    }
}

/// Waits until an operator asked twice for the end; false if nobody can any more.
async fn told_twice(stops: &mut watch::Receiver<u32>) -> bool {
    stops.wait_for(|stops| *stops > 1).await.is_ok()
}

/// Waits for the end of a child that was replaced. Whatever becomes of it, nothing is started for it.
async fn leave(mut process: Process, mut stops: watch::Receiver<u32>) {
    let mut crashed = None;
    let status = loop {
        tokio::select! {
            seen = process.next() => match seen {
                Ok(Seen::Said(Said::Crashed(report))) => { crashed.get_or_insert(*report); }
                Ok(Seen::Said(_)) => {}
                Ok(Seen::Ended(status)) => break Ok(status),
                Err(error) => break Err(error),
            },
            // The first one asks for what it does already.
            true = told_twice(&mut stops) => {
                let _ = process.tell(&Told::End { now: true });
                break process.wait().await;
            }
        }
    };
    let number = process.who.as_ref().map_or(0, |who| who.pid);
    match status {
        Ok(status) if status.success() => {
            tracing::info!(target: "supervisor", "upgrade: process {number}, which served before, has ended");
        }
        Ok(status) => {
            while let Some(said) = process.last_word().await {
                if let Said::Crashed(report) = said {
                    crashed.get_or_insert(*report);
                }
            }
            tell(
                crashed.as_ref(),
                status,
                "it had been replaced and was draining",
            );
        }
        Err(error) => {
            tracing::error!(target: "supervisor", %error, "cannot wait for process {number}, which served before");
        }
    }
}

fn wait_after(deaths: u32) -> Duration {
    let Some(more) = deaths.checked_sub(AT_ONCE + 1) else {
        return Duration::ZERO;
    };
    WAIT.0.saturating_mul(1 << more.min(16)).min(WAIT.1)
}

/// Says in one line what ended a child, and what becomes of that.
fn tell(crashed: Option<&Report>, status: ExitStatus, then: &str) {
    match (crashed, status.code(), status.signal()) {
        (Some(report), ..) => {
            tracing::error!(
                target: "supervisor",
                plugin = report.plugin,
                digest = report.digest,
                hook = report.hook,
                route = report.route,
                request_id = report.request,
                image = report.image,
                worker = report.worker,
                signal = report.signal_name(),
                "{report}; {then}"
            );
        }
        (None, None, Some(signal)) => {
            let report = Report {
                signal,
                ..Report::default()
            };
            let signal = report.signal_name();
            tracing::error!(target: "supervisor", signal, "the serving process was ended by {signal} without a report; {then}");
        }
        (None, code, _) => {
            tracing::error!(target: "supervisor", code, "the serving process ended by itself; {then}");
        }
    }
}

/// The signals an operator may send.
struct Signals {
    hangup: Stream,
    terminate: Stream,
    interrupt: Stream,
    second_user: Stream,
}

impl Signals {
    fn take() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            second_user: signal(SignalKind::user_defined2())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.hangup.recv() => Signal::HUP,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.second_user.recv() => Signal::USR2,
        }
    }

    async fn end(&mut self) {
        while matches!(self.next().await, Signal::HUP | Signal::USR2) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_deaths_cost_no_time_and_many_cost_seconds() {
        let ms = |deaths| wait_after(deaths).as_millis();
        assert_eq!((ms(1), ms(AT_ONCE), ms(AT_ONCE + 1)), (0, 0, 100));
        assert_eq!((ms(AT_ONCE + 2), ms(1000)), (200, 5000));
    }
}
