//! The way to the process that started this one: the sockets it handed over, and what is said to it.
//!
//! That is the supervising process, for as long as both live; or, in an upgrade, the process that served until now, which is
//! needed only until this one serves.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::kept;
use super::report::Report;
use super::turn;
use super::upgrade::{Standing, short};
use super::wire::{self, Begin, Hello, Said, Told};
use crate::endpoint::UNIX;
use crate::listener::unix::{self, Identity};

/// How long an answer of the parent may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks whether the parent is gone.
const LOOK: Duration = Duration::from_millis(10);

/// The key under which the text of the configuration is kept.
pub const CONFIG: &str = "config";
/// The key under which is kept what cannot be served.
pub const DEGRADED: &str = "degraded";

/// What stands before the names of sockets that a service manager passed.
pub const PASSED: &str = "passed ";

/// The way to the process that started this one.
#[derive(Debug)]
pub struct Link {
    socket: OwnedFd,
    supervised: bool,
    inherited: Mutex<HashMap<String, Vec<OwnedFd>>>,
    begin: Begin,
    answers: Mutex<Answers>,
    heard: watch::Receiver<Heard>,
    token: Token,
}

/// What this process takes its turn from, once that is given.
type Token = Arc<Mutex<Option<OwnedFd>>>;

/// What the parent answers, to one question at a time.
#[derive(Debug)]
struct Answers {
    /// The number of the last question.
    asked: u64,
    /// The numbers of those that are answered.
    done: Receiver<u64>,
}

impl Answers {
    /// Whether the last question is answered in time. An earlier one may be only now, which says nothing of this one.
    fn wait(&self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.done.recv_timeout(left) {
                Ok(done) if done == self.asked => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }
}

/// What the other side said so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Heard {
    asked: Asked,
    /// It is this process's turn.
    go: bool,
    standing: Standing,
    /// Another process accepts; what it did not take over.
    replaced: Option<Vec<String>>,
}

/// What the parent asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    #[default]
    Nothing,
    /// To drain and end.
    End,
    /// To end without waiting.
    Now,
}

impl Link {
    /// Takes the socket over that the process that started this one left as standard input, and what it has to hand on.
    ///
    /// # Errors
    /// Nobody is there, or what comes is no such thing, or of another version.
    pub fn take(supervised: bool) -> io::Result<Arc<Self>> {
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        // A plugin that reads its standard input must not read this.
        let nothing = std::fs::File::open("/dev/null")?;
        rustix::stdio::dup2_stdin(&nothing)?;
        wire::send(&socket, &Said::Hello(Hello::own()), &[])?;
        let (inherited, begin) = beginning(&socket)?;
        let (answered, done) = channel();
        let (told, heard) = watch::channel(Heard {
            standing: begin.standing.clone(),
            ..Heard::default()
        });
        let ear = socket.try_clone()?;
        let token = Token::default();
        let given = Arc::clone(&token);
        std::thread::Builder::new()
            .name("supervised".to_owned())
            .spawn(move || listen(&ear, &answered, &told, &given))?;
        Ok(Arc::new(Self {
            socket,
            supervised,
            inherited: Mutex::new(inherited),
            begin,
            answers: Mutex::new(Answers { asked: 0, done }),
            heard,
            token,
        }))
    }

    /// Whether it leads to a process that supervises this one.
    #[must_use]
    pub fn is_supervised(&self) -> bool {
        self.supervised
    }

    /// The process at the other end.
    #[must_use]
    pub fn starter(&self) -> u32 {
        std::os::unix::process::parent_id()
    }

    /// Who serves until this process does, in an upgrade.
    #[must_use]
    pub fn replaces(&self) -> Option<&Hello> {
        self.begin.replaces.as_ref()
    }

    /// Where the handler of a crash writes.
    #[must_use]
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// How many children served before this one.
    #[must_use]
    pub fn served_before(&self) -> u64 {
        self.begin.served
    }

    /// Crashes that are not written down yet.
    #[must_use]
    pub fn reports(&self) -> &[Report] {
        &self.begin.reports
    }

    /// So many of the sockets that a child before this one kept under a key; listeners that ask for any free port may share
    /// one, and get theirs in their order.
    #[must_use]
    pub fn inherit(&self, key: &str, count: usize) -> Option<Vec<OwnedFd>> {
        let mut inherited = self.inherited();
        let kept = inherited.get_mut(key)?;
        if kept.len() < count {
            return None;
        }
        let sockets = kept.drain(..count).collect();
        if kept.is_empty() {
            inherited.remove(key);
        }
        Some(sockets)
    }

    /// The text of the configuration that a child before this one served.
    #[must_use]
    pub fn served_text(&self) -> Option<String> {
        self.text(CONFIG)
    }

    /// Which file was that of the sockets that were bound at a path. The sockets do not know it.
    #[must_use]
    pub fn bound_file(&self, path: &Path) -> Option<Identity> {
        serde_json::from_str(&self.text(&file_of(path))?).ok()
    }

    /// Has the parent keep which file it is, beside copies of the sockets.
    pub fn keep_bound_file(&self, path: &Path, file: Identity) {
        let kept = serde_json::to_string(&file)
            .map_err(io::Error::from)
            .and_then(|text| self.keep_text(file_of(path), &text));
        if let Err(error) = kept {
            let path = path.display();
            tracing::debug!(target: "control", %error, "after a crash any socket at {path} is taken for the own one");
        }
    }

    /// Has the parent forget it.
    pub fn forget_bound_file(&self, path: &Path) {
        self.forget(&file_of(path));
    }

    /// Has the parent keep a text in the place of the one that it kept under this key. It lies in memory.
    ///
    /// # Errors
    /// It is gone, or the system gives no memory.
    pub fn keep_text(&self, key: String, text: &str) -> io::Result<()> {
        // In one step: a crash between two would leave nothing.
        let kept = kept::text(text)?;
        wire::send(&self.socket, &Said::Replace(key), &[kept.as_fd()])
    }

    /// Says that this process gives up privileges that the parent has: what it serves from here on is not kept.
    ///
    /// # Errors
    /// It is gone.
    pub fn drops(&self) -> io::Result<()> {
        wire::send(&self.socket, &Said::Drops, &[])
    }

    /// What could not be served by the process that this one replaces.
    #[must_use]
    pub fn degraded_before(&self) -> Vec<String> {
        let text = self.text(DEGRADED).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// How many workers the children before had.
    #[must_use]
    pub fn workers(&self) -> Option<usize> {
        self.begin.workers
    }

    /// What nobody asked for: listeners that the configuration does not have any more.
    #[must_use]
    pub fn others(&self) -> Vec<String> {
        let inherited = self.inherited();
        let others = inherited
            .keys()
            .filter(|key| *key != CONFIG && *key != DEGRADED);
        others.cloned().collect()
    }

    /// Closes those. In an upgrade the process before accepts from them still, and takes away what belongs to them.
    pub fn close_others(&self) {
        let mut inherited = std::mem::take(&mut *self.inherited());
        // Those are the new ones by now.
        inherited.retain(|key, _| key != CONFIG && key != DEGRADED);
        let others: Vec<String> = inherited.into_keys().collect();
        for key in &others {
            if self.supervised {
                self.forget(key);
            }
            if let Some(path) = key.strip_prefix(UNIX).filter(|_| self.replaces().is_none()) {
                unix::remove_dead(Path::new(path));
            }
        }
    }

    /// Has the parent keep copies of sockets.
    ///
    /// # Errors
    /// It is gone.
    pub fn keep<'a, S: AsFd + 'a>(
        &self,
        key: &str,
        sockets: impl Iterator<Item = &'a S>,
    ) -> io::Result<()> {
        let sockets: Vec<BorrowedFd<'_>> = sockets.map(AsFd::as_fd).collect();
        wire::send(&self.socket, &Said::Keep(key.to_owned()), &sockets)
    }

    /// Has the parent close its copies, so that ours are the only ones.
    pub fn forget(&self, key: &str) {
        self.ask(|question| Said::Forget(key.to_owned(), question));
    }

    /// Has the parent close all its copies, because this process drains and will end.
    pub fn forget_all(&self) {
        self.ask(Said::ForgetAll);
    }

    /// Says that the reports are written down.
    pub fn noted(&self) {
        // Without a parent, `end` says so.
        let _ = wire::send(&self.socket, &Said::Noted, &[]);
    }

    /// In an upgrade: says that nothing is left to do but to accept, and waits for the turn.
    ///
    /// # Errors
    /// The supervising process is gone.
    pub async fn turn(&self) -> io::Result<()> {
        if self.replaces().is_none() {
            return Ok(());
        }
        let ready = wire::send(&self.socket, &Said::Ready, &[]);
        let mut heard = self.heard.clone();
        let told = heard.wait_for(|heard| heard.go).await.is_ok();
        match (ready, told) {
            (Ok(()), true) => self.take_turn(),
            _ if self.supervised => Err(io::Error::other("the supervising process is gone")),
            _ if !self.is_left().await => {
                let text = "the process that started this one gave it up";
                Err(io::Error::other(text))
            }
            _ => {
                // It ended in a way nobody wanted, for it ends this one otherwise.
                tracing::warn!(target: "control", "the process that served until now is gone; this one serves in its place");
                Ok(())
            }
        }
    }

    /// From here on this process accepts, and nobody ends it for being slow.
    fn take_turn(&self) -> io::Result<()> {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let token = token.as_ref();
        turn::take(token.ok_or_else(|| io::Error::other("its turn did not come along"))?)
    }

    /// Whether the process that serves until this one does is gone. It closes its end a moment before.
    async fn is_left(&self) -> bool {
        let end = Instant::now() + PATIENCE;
        while self.replaces().is_some_and(|one| one.pid == self.starter()) {
            if Instant::now() > end {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
        true
    }

    /// Says that this process serves, and what it did not take over.
    pub fn serves(&self, workers: usize, gone: Vec<String>) {
        // Without a parent, `end` says so.
        let _ = wire::send(&self.socket, &Said::Serving { workers, gone }, &[]);
    }

    /// Says that this process will not serve, and why.
    pub fn fails(&self, why: &str) {
        let why = short(why.to_owned());
        let _ = wire::send(&self.socket, &Said::Fails(why), &[]);
    }

    /// Passes on that an operator wants an upgrade.
    pub fn ask_for_upgrade(&self) {
        let _ = wire::send(&self.socket, &Said::Upgrade, &[]);
    }

    /// Says how long a new process may take at an upgrade.
    pub fn keep_limit(&self, limit: Duration) {
        let ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let _ = wire::send(&self.socket, &Said::UpgradeLimit { ms }, &[]);
    }

    /// How upgrades go, as far as it is known.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.heard.borrow().standing.clone()
    }

    /// Waits until more is known of it.
    pub async fn standing_changed(&self, known: &Standing) -> Standing {
        let mut heard = self.heard.clone();
        let changed = heard.wait_for(|heard| heard.standing != *known).await;
        match changed.map(|heard| heard.standing.clone()) {
            Ok(standing) => standing,
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits until another process accepts; what that one did not take over.
    pub async fn replaced(&self) -> Vec<String> {
        let mut heard = self.heard.clone();
        let replaced = heard.wait_for(|heard| heard.replaced.is_some()).await;
        match replaced.map(|heard| heard.replaced.clone()) {
            Ok(Some(gone)) => gone,
            _ => std::future::pending().await,
        }
    }

    /// Has the parent pass words on to the service manager.
    ///
    /// # Errors
    /// It is gone.
    pub fn notify(&self, text: &str) -> io::Result<()> {
        wire::send(&self.socket, &Said::Notify(text.to_owned()), &[])
    }

    /// Sockets that a service manager passed to the parent, with their names.
    #[must_use]
    pub fn passed(&self) -> Vec<(String, OwnedFd)> {
        let mut inherited = self.inherited();
        let passed = inherited.extract_if(|key, _| key.starts_with(PASSED));
        let passed = passed.flat_map(|(key, sockets)| {
            let name = key.strip_prefix(PASSED).unwrap_or_default().to_owned();
            sockets
                .into_iter()
                .map(move |socket| (name.clone(), socket))
        });
        passed.collect()
    }

    /// Waits until the parent asks for the end, or is gone itself; says which.
    pub async fn end(&self) -> &'static str {
        let mut heard = self.heard.clone();
        let asked = heard.wait_for(|heard| heard.asked >= Asked::End).await;
        match asked {
            Ok(_) => "the supervising process",
            Err(_) => "the end of the supervising process",
        }
    }

    /// Waits until the parent asks for the end at once. One that is gone asks for nothing.
    pub async fn end_now(&self) {
        let mut heard = self.heard.clone();
        let asked = heard.wait_for(|heard| heard.asked == Asked::Now).await;
        if asked.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the parent is gone.
    #[must_use]
    pub fn is_orphan(&self) -> bool {
        self.heard.has_changed().is_err()
    }

    fn text(&self, key: &str) -> Option<String> {
        let kept = self.inherited().remove(key)?.pop()?;
        kept::read(kept).ok()
    }

    fn ask(&self, said: impl FnOnce(u64) -> Said) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.asked += 1;
        let said = said(answers.asked);
        if wire::send(&self.socket, &said, &[]).is_ok() && !answers.wait(PATIENCE) {
            tracing::warn!(target: "control", "the supervising process does not answer; it may keep sockets that are closed here");
        }
    }

    fn inherited(&self) -> MutexGuard<'_, HashMap<String, Vec<OwnedFd>>> {
        self.inherited
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key under which is kept which file is that of the sockets bound at a path.
#[must_use]
pub fn file_of(path: &Path) -> String {
    format!("file of {UNIX}{}", path.display())
}

/// What there is to begin with.
fn beginning(socket: &OwnedFd) -> io::Result<(HashMap<String, Vec<OwnedFd>>, Begin)> {
    let mut inherited: HashMap<String, Vec<OwnedFd>> = HashMap::new();
    loop {
        let Some((packet, sockets)) = wire::receive(socket)? else {
            return Err(io::Error::other(
                "the process that started this one is gone",
            ));
        };
        match serde_json::from_slice(&packet)? {
            Told::Hello(hello) => {
                if let Some(refusal) = hello.refusal() {
                    return Err(io::Error::other(refusal));
                }
            }
            Told::Sockets(key) => inherited.entry(key).or_default().extend(sockets),
            Told::Begin(begin) => return Ok((inherited, begin)),
            _ => {}
        }
    }
}

/// Until the other side is gone; `told` ends with it, which says so.
fn listen(socket: &OwnedFd, answered: &Sender<u64>, told: &watch::Sender<Heard>, given: &Token) {
    while let Ok(Some((packet, sockets))) = wire::receive(socket) {
        let Ok(packet) = serde_json::from_slice(&packet) else {
            continue;
        };
        match packet {
            Told::Done(question) => {
                let _ = answered.send(question);
            }
            Told::End { now } => {
                let asked = if now { Asked::Now } else { Asked::End };
                told.send_modify(|heard| heard.asked = asked);
            }
            Told::Go => {
                let mut given = given.lock().unwrap_or_else(PoisonError::into_inner);
                *given = sockets.into_iter().next();
                drop(given);
                told.send_modify(|heard| heard.go = true);
            }
            Told::Upgrade(standing) => told.send_modify(|heard| heard.standing = *standing),
            Told::Replaced { gone } => told.send_modify(|heard| heard.replaced = Some(gone)),
            Told::Hello(_) | Told::Sockets(_) | Told::Begin(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_is_none_to_the_next_question() {
        let (answered, done) = channel();
        let mut answers = Answers { asked: 1, done };
        assert!(!answers.wait(Duration::ZERO));
        answered.send(1).unwrap();
        answers.asked = 2;
        assert!(!answers.wait(Duration::ZERO));
        answered.send(2).unwrap();
        assert!(answers.wait(Duration::ZERO));
    }
}
