//! An upgrade, as the process sees it that takes over: it is ready, waits for its turn, takes it and serves.

use std::io;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::{Link, PATIENCE};
use crate::supervise::turn;
use crate::supervise::upgrade::short;
use crate::supervise::wire::{self, Said};

/// Between two looks whether the parent is gone.
const LOOK: Duration = Duration::from_millis(10);

impl Link {
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
}
