//! The parent: starts children, forwards signals, reads reports, hands sockets on. It loads no plugin.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::link::PASSED;
use super::report::Report;
use super::wire::{self, Begin, Said, Told};
use crate::life::notify::Notifier;

/// Deaths within this time make the next start wait.
const RECENT: Duration = Duration::from_secs(60);
/// So many of them do not: a file is put into quarantine after some.
const AT_ONCE: u32 = 5;
/// The first and the longest wait.
const WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How long a child may take to begin with what it is handed, or to take any other packet.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait for what a dead child said last.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A packet and the sockets beside it.
type Packet = (Vec<u8>, Vec<OwnedFd>);

/// How children are started.
#[derive(Debug)]
pub struct Plan {
    /// The gateway's own executable.
    pub exe: PathBuf,
    /// The arguments that make it a child.
    pub args: Vec<OsString>,
    /// The way to the service manager, on which is passed on what children say.
    pub notifier: Notifier,
    /// Sockets that it passed, with their names; the first child takes them.
    pub passed: Vec<(String, OwnedFd)>,
}

/// Supervises until a child ends as it should; the exit code to end with.
///
/// # Errors
/// The system gives no process, socket or signal.
pub fn run(plan: Plan) -> io::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut signals = Signals::take()?;
        tokio::spawn(plan.notifier.clone().stand_in());
        Parent::new(plan).supervise(&mut signals).await
    })
}

struct Parent {
    plan: Plan,
    kept: BTreeMap<String, Vec<OwnedFd>>,
    /// Crashes that no child has written down yet.
    reports: Vec<Report>,
    /// How many children served.
    served: u64,
    workers: Option<usize>,
    deaths: Vec<Instant>,
    /// How often an operator asked for the end.
    stops: u32,
}

/// One child, while it lives.
struct Running {
    child: Child,
    socket: OwnedFd,
    /// What comes from it, taken by a thread of its own; ends when the child has.
    packets: UnboundedReceiver<Packet>,
    /// Since when nobody serves.
    since: Instant,
    serves: bool,
    /// It closed its end of the socket.
    silent: bool,
    /// It said that it drains.
    ends: bool,
    /// The first report of its own end: whatever crashes on the way down is no crash of its own.
    crashed: Option<Report>,
    /// How many reports it was given.
    given: usize,
}

impl Parent {
    fn new(mut plan: Plan) -> Self {
        let mut kept: BTreeMap<String, Vec<OwnedFd>> = BTreeMap::new();
        for (name, socket) in plan.passed.drain(..) {
            kept.entry(format!("{PASSED}{name}"))
                .or_default()
                .push(socket);
        }
        Self {
            plan,
            kept,
            reports: Vec::new(),
            served: 0,
            workers: None,
            deaths: Vec::new(),
            stops: 0,
        }
    }

    async fn supervise(mut self, signals: &mut Signals) -> io::Result<u8> {
        let mut since = Instant::now();
        loop {
            let mut running = self.start(since)?;
            let status = self.watch(&mut running, signals).await?;
            since = Instant::now();
            // A process that a plugin forked may hold the other end open, and is not waited for.
            while let Ok(Some((packet, sockets))) =
                tokio::time::timeout(LAST_WORDS, running.packets.recv()).await
            {
                self.hear(&mut running, &packet, sockets);
            }
            if let Some(code) = self.is_the_end(&running, status) {
                return Ok(code);
            }
            if status.signal().is_none() {
                // It lived on after what was reported, and ended in another way.
                running.crashed = None;
            }
            tell(&running, status);
            let notifier = &self.plan.notifier;
            notifier.status("the serving process died; another one is started");
            self.reports.extend(running.crashed);
            if !self.rest(signals).await {
                return Ok(0);
            }
        }
    }

    fn start(&mut self, since: Instant) -> io::Result<Running> {
        self.plan.notifier.waits_for_child();
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let mut child = Command::new(&self.plan.exe)
            .args(&self.plan.args)
            .envs(self.plan.notifier.times())
            .stdin(Stdio::from(theirs))
            // A signal of the terminal reaches this process, which forwards it; the child must not get it twice.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        if let Err(error) = self.hand_over(&ours) {
            // It would wait for the rest for ever. One that died at once is seen by whoever waits for it, as this one is.
            if !is_gone(&error) {
                tracing::error!(target: "supervisor", %error, "cannot hand the sockets and reports on to the next process; ending that one");
                let _ = child.start_kill();
            }
        }
        let packets = listen(ours.try_clone()?)?;
        Ok(Running {
            child,
            socket: ours,
            packets,
            since,
            serves: false,
            silent: false,
            ends: false,
            crashed: None,
            given: self.reports.len(),
        })
    }

    fn hand_over(&mut self, socket: &OwnedFd) -> io::Result<()> {
        // A child that takes nothing must not keep this process from all else.
        set_socket_timeout(socket, Timeout::Send, Some(PATIENCE))?;
        wire::keep_newest(&mut self.reports);
        for (key, sockets) in &self.kept {
            let sockets: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
            wire::send(socket, &Told::Sockets(key.clone()), &sockets)?;
        }
        let begin = Begin {
            served: self.served,
            workers: self.workers,
            reports: self.reports.clone(),
        };
        wire::send(socket, &Told::Begin(begin), &[])
    }

    /// Until the child has ended.
    async fn watch(
        &mut self,
        running: &mut Running,
        signals: &mut Signals,
    ) -> io::Result<ExitStatus> {
        loop {
            let packet = tokio::select! {
                status = running.child.wait() => return status,
                signal = signals.next() => {
                    self.pass_on(running, signal);
                    continue;
                }
                packet = running.packets.recv(), if !running.silent => packet,
            };
            match packet {
                Some((packet, sockets)) => self.hear(running, &packet, sockets),
                // All that is left is to wait for its end.
                None => running.silent = true,
            }
        }
    }

    /// Passes a signal on. The end is asked for in words: whoever signals the whole group of processes, as systemd does,
    /// reaches the child as well, and it could not tell a signal from here from a second request of the operator.
    fn pass_on(&mut self, running: &Running, signal: Signal) {
        if signal == Signal::HUP {
            return forward(&running.child, signal);
        }
        self.stops += 1;
        let now = self.stops > 1;
        match wire::send(&running.socket, &Told::End { now }, &[]) {
            Ok(()) => {
                tracing::info!(target: "supervisor", now, "told the serving process to end");
            }
            Err(_) => forward(&running.child, signal),
        }
    }

    fn hear(&mut self, running: &mut Running, packet: &[u8], sockets: Vec<OwnedFd>) {
        match wire::said(packet) {
            Some(Said::Keep(key)) => self.kept.entry(key).or_default().extend(sockets),
            Some(Said::Replace(key)) => {
                self.kept.insert(key, sockets);
            }
            Some(Said::Forget(key, question)) => {
                self.kept.remove(&key);
                answer(running, question);
            }
            Some(Said::ForgetAll(question)) => {
                self.kept.clear();
                running.ends = true;
                answer(running, question);
            }
            Some(Said::Noted) => {
                self.reports.drain(..running.given.min(self.reports.len()));
                running.given = 0;
            }
            Some(Said::Serving { workers }) => {
                self.workers = Some(workers);
                running.serves = true;
                if self.served > 0 {
                    let took = running.since.elapsed();
                    tracing::info!(target: "supervisor", took_ms = took.as_millis(), "serves again");
                }
                self.served += 1;
            }
            Some(Said::Notify(text)) => self.plan.notifier.pass_on(&text),
            Some(Said::Crashed(report)) => {
                running.crashed.get_or_insert(*report);
            }
            None => {
                tracing::warn!(target: "supervisor", "the serving process said something that is not understood");
            }
        }
    }

    /// Whether this was the end of all, and with which exit code.
    fn is_the_end(&self, running: &Running, status: ExitStatus) -> Option<u8> {
        let code = |code: i32| u8::try_from(code).unwrap_or(1);
        match (status.code(), status.signal()) {
            (Some(own), _) if running.ends || self.stops > 0 => Some(code(own)),
            // It never served: the configuration is wrong, or an address is taken, and it said so.
            (Some(own), _) if self.served == 0 => Some(code(own)),
            (None, Some(signal)) if self.stops > 0 => Some(code(128 + signal)),
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
}

fn wait_after(deaths: u32) -> Duration {
    let Some(more) = deaths.checked_sub(AT_ONCE + 1) else {
        return Duration::ZERO;
    };
    WAIT.0.saturating_mul(1 << more.min(16)).min(WAIT.1)
}

/// Says in one line what ended a child.
fn tell(running: &Running, status: ExitStatus) {
    match (&running.crashed, status.code(), status.signal()) {
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
                "{report}; starting again"
            );
        }
        (None, None, Some(signal)) => {
            let report = Report {
                signal,
                ..Report::default()
            };
            let signal = report.signal_name();
            tracing::error!(target: "supervisor", signal, "the serving process was ended by {signal} without a report; starting again");
        }
        (None, code, _) => {
            tracing::error!(target: "supervisor", code, "the serving process ended by itself; starting again");
        }
    }
}

fn listen(socket: OwnedFd) -> io::Result<UnboundedReceiver<Packet>> {
    let (heard, packets) = unbounded_channel();
    std::thread::Builder::new()
        .name("packets".to_owned())
        .spawn(move || {
            while let Ok(Some(packet)) = wire::receive(&socket) {
                if heard.send(packet).is_err() {
                    return;
                }
            }
        })?;
    Ok(packets)
}

/// Whether the other side is gone.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

fn answer(running: &Running, question: u64) {
    // Whether it is gone is seen where it is waited for.
    let _ = wire::send(&running.socket, &Told::Done(question), &[]);
}

fn forward(child: &Child, signal: Signal) {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(id) = id.and_then(Pid::from_raw) {
        let _ = kill_process(id, signal);
    }
}

/// The signals an operator may send.
struct Signals {
    hangup: Stream,
    terminate: Stream,
    interrupt: Stream,
}

impl Signals {
    fn take() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.hangup.recv() => Signal::HUP,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.interrupt.recv() => Signal::INT,
        }
    }

    async fn end(&mut self) {
        while self.next().await == Signal::HUP {}
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
