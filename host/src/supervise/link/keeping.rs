//! What the supervising process keeps for the one after this, and what it closes when asked to.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::PoisonError;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::{Link, PATIENCE, file_of};
use crate::listener::unix::Identity;
use crate::supervise::kept;
use crate::supervise::wire::{self, Said};

/// What the parent answers, to one question at a time.
#[derive(Debug)]
pub(super) struct Answers {
    /// The number of the last question.
    pub(super) asked: u64,
    /// The numbers of those that are answered.
    pub(super) done: Receiver<u64>,
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

impl Link {
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

    fn ask(&self, said: impl FnOnce(u64) -> Said) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.asked += 1;
        let said = said(answers.asked);
        if wire::send(&self.socket, &said, &[]).is_ok() && !answers.wait(PATIENCE) {
            tracing::warn!(target: "control", "the supervising process does not answer; it may keep sockets that are closed here");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

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
