//! A process that serves or is to serve, as seen by the one that started it.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::kept::Kept;
use super::link::CONFIG;
use super::turn::Turn;
use super::wire::{self, Begin, Hello, Said, Told};

pub use plan::Plan;

mod plan;

/// How long a process may take to begin with what it is handed, or to take any other packet.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait for what a dead process said last.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A packet and the sockets beside it.
type Packet = (Vec<u8>, Vec<OwnedFd>);

/// What is seen of a process.
#[derive(Debug)]
pub enum Seen {
    /// It said something.
    Said(Said),
    /// It ended.
    Ended(ExitStatus),
}

/// One process, while it lives; dropping it ends it, unless it took its turn.
#[derive(Debug)]
pub struct Process {
    child: Child,
    socket: OwnedFd,
    /// What comes from it, taken by a thread of its own; ends when the process has.
    packets: UnboundedReceiver<Packet>,
    /// What it keeps here for the one after it.
    pub kept: Kept,
    /// Who it is: its version as it said it, and its number as the system says it.
    pub who: Option<Hello>,
    id: u32,
    /// It gave up privileges that this process has, and with them the say in what is started with those.
    dropped: bool,
    /// It closed its end of the socket.
    silent: bool,
    /// Whose turn it is, once it was given: a process that took it goes on without this one.
    turn: Option<Turn>,
}

impl Process {
    /// Starts one and hands everything over.
    ///
    /// # Errors
    /// The system gives no socket or process.
    pub fn start(plan: &Plan, kept: Kept, begin: Begin) -> io::Result<Self> {
        let (ours, theirs) = wire::pair()?;
        // Whatever can fail is done before there is a process, which would live on.
        let packets = listen(ours.try_clone()?)?;
        let mut command = plan.command();
        let variables = plan.variables.iter().map(|(name, value)| (name, value));
        command
            .args(&plan.args)
            .envs(variables)
            .stdin(Stdio::from(theirs));
        if plan.apart {
            command.process_group(0);
        }
        let mut child = command.spawn()?;
        // It holds a copy of the other end of the socket.
        drop(command);
        if let Err(error) = hand_over(&ours, &kept, begin) {
            // It would wait for the rest for ever. One that died at once is seen by whoever waits for it, as this one is.
            if !is_gone(&error) {
                tracing::error!(target: "supervisor", %error, "cannot hand the sockets and reports on to the next process; ending that one");
                let _ = child.start_kill();
            }
        }
        Ok(Self {
            id: child.id().unwrap_or_default(),
            dropped: false,
            child,
            socket: ours,
            packets,
            kept,
            who: None,
            silent: false,
            turn: None,
        })
    }

    /// What it says next that is for others; none: it is silent for good. What it keeps and forgets is seen to here.
    pub async fn said(&mut self) -> Option<Said> {
        while !self.silent {
            let packet = self.packets.recv().await;
            if let Some(said) = self.heard(packet) {
                return Some(said);
            }
        }
        None
    }

    /// What it says next, or how it ended.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub async fn next(&mut self) -> io::Result<Seen> {
        loop {
            let silent = self.silent;
            let packet = tokio::select! {
                // All that is left after silence is to wait for its end.
                packet = self.packets.recv(), if !silent => packet,
                status = self.child.wait() => return status.map(Seen::Ended),
            };
            if let Some(said) = self.heard(packet) {
                return Ok(Seen::Said(said));
            }
        }
    }

    fn heard(&mut self, packet: Option<Packet>) -> Option<Said> {
        let Some((packet, sockets)) = packet else {
            self.silent = true;
            return None;
        };
        let said = wire::said(&packet);
        if said.is_none() {
            tracing::warn!(target: "supervisor", "the other process said something that is not understood");
        }
        self.keep(said?, sockets)
    }

    /// What it said last, once it has ended. A process that a plugin forked may hold the other end open, and is not waited
    /// for.
    pub async fn last_word(&mut self) -> Option<Said> {
        tokio::time::timeout(LAST_WORDS, self.said())
            .await
            .ok()
            .flatten()
    }

    /// Tells it something.
    ///
    /// # Errors
    /// It is gone, or takes nothing.
    pub fn tell(&self, told: &Told) -> io::Result<()> {
        wire::send(&self.socket, told, &[])
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// What the system says.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Ends it, and waits until it has: nobody may be there to wait for it later.
    pub async fn end(&mut self) {
        let _ = self.child.start_kill();
        let _ = tokio::time::timeout(PATIENCE, self.child.wait()).await;
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id.and_then(Pid::from_raw) {
            let _ = kill_process(id, signal);
        }
    }

    /// Its number, while it lives.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Tells it that it is its turn. Where it is gone, that is heard next.
    ///
    /// # Errors
    /// The turn cannot be given.
    pub fn give_turn(&mut self, turn: &Turn) -> io::Result<()> {
        let token = turn.give()?;
        self.turn = Some(turn.clone());
        let _ = wire::send(&self.socket, &Told::Go, &[token.as_fd()]);
        Ok(())
    }

    fn keep(&mut self, said: Said, sockets: Vec<OwnedFd>) -> Option<Said> {
        match said {
            Said::Keep(key) => self.kept.add(key, sockets),
            // What it serves may be what a plugin says, and the next process begins with more privileges.
            Said::Replace(key) if self.dropped && key == CONFIG => {}
            Said::Replace(key) => self.kept.replace(key, sockets),
            Said::Drops => self.dropped = true,
            Said::Forget(key, question) => {
                self.kept.forget(&key);
                self.answer(question);
            }
            Said::ForgetAll(question) => {
                self.kept.clear();
                self.answer(question);
                return Some(Said::ForgetAll(question));
            }
            // Only the first one was said before anything of a plugin ran.
            Said::Hello(_) if self.who.is_some() => {}
            Said::Hello(who) => {
                let who = Hello {
                    pid: self.id,
                    ..who
                };
                self.who = Some(who.clone());
                return Some(Said::Hello(who));
            }
            other => return Some(other),
        }
        None
    }

    fn answer(&self, question: u64) {
        // Whether it is gone is seen where it is waited for.
        let _ = self.tell(&Told::Done(question));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.turn.as_ref().is_none_or(Turn::take_back) {
            // The runtime waits for it, so that nothing of it is left.
            let _ = self.child.start_kill();
        }
    }
}

fn hand_over(socket: &OwnedFd, kept: &Kept, begin: Begin) -> io::Result<()> {
    // A process that takes nothing must not keep this one from all else.
    set_socket_timeout(socket, Timeout::Send, Some(PATIENCE))?;
    wire::send(socket, &Told::Hello(Hello::own()), &[])?;
    kept.hand_over(socket)?;
    wire::send(socket, &Told::Begin(begin), &[])
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
