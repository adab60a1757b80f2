//! How long a body may make no progress.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// A limit on silence. The timer is made only when there is silence: most bodies come in one piece.
#[derive(Debug)]
pub struct Idle {
    /// The limit.
    pub limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Idle {
    /// Nothing runs yet.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { limit, timer: None }
    }

    /// Something came.
    pub fn progress(&mut self) {
        if let Some(timer) = &mut self.timer {
            timer.as_mut().reset(Instant::now() + self.limit);
        }
    }

    /// Nothing came; ready when that has lasted too long.
    pub fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        self.timer
            .get_or_insert_with(|| Box::pin(sleep(limit)))
            .as_mut()
            .poll(cx)
    }
}
