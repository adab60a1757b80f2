//! The child's side of supervision: the sockets it was handed, and what it says to its parent.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::report::Report;
use super::wire::{self, Begin, Said, Told};
use crate::endpoint::UNIX;
use crate::listener::unix::{self, Identity};

/// How long an answer of the parent may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The key under which the text of the configuration is kept.
const CONFIG: &str = "config";

/// What stands before the names of sockets that a service manager passed.
pub const PASSED: &str = "passed ";

/// The way to the parent.
#[derive(Debug)]
pub struct Link {
    socket: OwnedFd,
    inherited: Mutex<HashMap<String, Vec<OwnedFd>>>,
    begin: Begin,
    answers: Mutex<Answers>,
    asked: watch::Receiver<Asked>,
}

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

/// What the parent asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    Nothing,
    /// To drain and end.
    End,
    /// To end without waiting.
    Now,
}

impl Link {
    /// Takes the socket over that the parent left as standard input, and what it has to hand on.
    ///
    /// # Errors
    /// Nobody is there, or what comes is no such thing.
    pub fn take() -> io::Result<Arc<Self>> {
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        // A plugin that reads its standard input must not read this.
        let nothing = std::fs::File::open("/dev/null")?;
        rustix::stdio::dup2_stdin(&nothing)?;
        let mut inherited: HashMap<String, Vec<OwnedFd>> = HashMap::new();
        let begin = loop {
            let Some((packet, sockets)) = wire::receive(&socket)? else {
                return Err(io::Error::other("the supervising process is gone"));
            };
            match serde_json::from_slice(&packet)? {
                Told::Sockets(key) => {
                    inherited.entry(key).or_default().extend(sockets);
                }
                Told::Begin(begin) => break begin,
                Told::Done(_) | Told::End { .. } => {}
            }
        };
        let (answered, done) = channel();
        let (ask, asked) = watch::channel(Asked::Nothing);
        let ear = socket.try_clone()?;
        std::thread::Builder::new()
            .name("supervised".to_owned())
            .spawn(move || listen(&ear, &answered, &ask))?;
        Ok(Arc::new(Self {
            socket,
            inherited: Mutex::new(inherited),
            begin,
            answers: Mutex::new(Answers { asked: 0, done }),
            asked,
        }))
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
            .and_then(|text| self.keep_under(file_of(path), &text));
        if let Err(error) = kept {
            let path = path.display();
            tracing::debug!(target: "control", %error, "after a crash any socket at {path} is taken for the own one");
        }
    }

    /// Has the parent forget it.
    pub fn forget_bound_file(&self, path: &Path) {
        self.forget(&file_of(path));
    }

    /// Has the parent keep the text of the configuration that serves, for the case that the file is wrong when the next
    /// child starts. It lies in memory, as the file says it, without what its references lead to.
    pub fn keep_text(&self, text: &str) {
        if let Err(error) = self.keep_under(CONFIG.to_owned(), text) {
            tracing::warn!(target: "control", %error, "the supervising process cannot keep the configuration; after a crash the file must be right");
        }
    }

    /// How many workers the children before had.
    #[must_use]
    pub fn workers(&self) -> Option<usize> {
        self.begin.workers
    }

    /// Closes what nobody asked for: listeners that the configuration does not have any more.
    pub fn close_others(&self) {
        let others: Vec<String> = self.inherited().drain().map(|(key, _)| key).collect();
        for key in others {
            self.forget(&key);
            if let Some(path) = key.strip_prefix(UNIX) {
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

    /// Says that this process serves.
    pub fn serves(&self, workers: usize) {
        // Without a parent, `end` says so.
        let _ = wire::send(&self.socket, &Said::Serving { workers }, &[]);
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
        match self
            .asked
            .clone()
            .wait_for(|asked| *asked >= Asked::End)
            .await
        {
            Ok(_) => "the supervising process",
            Err(_) => "the end of the supervising process",
        }
    }

    /// Waits until the parent asks for the end at once. One that is gone asks for nothing.
    pub async fn end_now(&self) {
        let mut asked = self.asked.clone();
        let told = asked.wait_for(|asked| *asked == Asked::Now).await.is_ok();
        if !told {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the parent is gone.
    #[must_use]
    pub fn is_orphan(&self) -> bool {
        self.asked.has_changed().is_err()
    }

    fn keep_under(&self, key: String, text: &str) -> io::Result<()> {
        let mut file = memory()?;
        file.write_all(text.as_bytes())?;
        // In one step: a crash between two would leave nothing.
        wire::send(&self.socket, &Said::Replace(key), &[file.as_fd()])
    }

    fn text(&self, key: &str) -> Option<String> {
        let mut file = File::from(self.inherited().remove(key)?.pop()?);
        let mut text = String::new();
        file.rewind().ok()?;
        file.read_to_string(&mut text).ok()?;
        Some(text)
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
fn file_of(path: &Path) -> String {
    format!("file of {UNIX}{}", path.display())
}

/// A file without a name, in memory.
#[cfg(target_os = "linux")]
fn memory() -> io::Result<File> {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    Ok(File::from(rustix::fs::memfd_create("swapgate", flags)?))
}

#[cfg(not(target_os = "linux"))]
fn memory() -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Until the parent is gone; `ask` ends with it, which says so.
fn listen(socket: &OwnedFd, answered: &Sender<u64>, ask: &watch::Sender<Asked>) {
    while let Ok(Some((packet, _))) = wire::receive(socket) {
        match serde_json::from_slice(&packet) {
            Ok(Told::Done(question)) => {
                let _ = answered.send(question);
            }
            Ok(Told::End { now }) => {
                let asked = if now { Asked::Now } else { Asked::End };
                let _ = ask.send(asked);
            }
            _ => {}
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
