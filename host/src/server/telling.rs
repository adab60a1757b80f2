//! What is said to the service manager, and when: ready once `/readyz` says so, a line of status whenever it changes, and
//! that the process lives for as long as it does.
//!
//! All of it is said by the control thread, so that a control thread that stands still says nothing, and the service manager
//! starts the service anew.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::control::status::{Board, Status};
use crate::fault::watchdog::Watchdog;
use crate::life::notify::Notifier;

/// How often more time is asked for while the process drains, and how much.
const AGAIN: Duration = Duration::from_secs(3);
const MORE: Duration = Duration::from_secs(15);

/// What is told, until it is dropped.
pub(super) struct Teller {
    notifier: Notifier,
    board: Board,
    watchdog: Watchdog,
}

impl Teller {
    /// Tells what the board shows.
    #[must_use]
    pub(super) fn new(notifier: Notifier, board: Board, watchdog: Watchdog) -> Self {
        Self {
            notifier,
            board,
            watchdog,
        }
    }

    /// Until it is dropped; at once done where nobody listens.
    pub(super) async fn run(self) {
        if !self.notifier.is_heard() {
            return;
        }
        let mut beat = self.notifier.watchdog().map(|limit| every(limit / 2));
        let mut again = every(AGAIN);
        let mut told = String::new();
        let mut still = false;
        loop {
            let (text, ready, stopping) = self
                .board
                .read(|status| (line(status), status.ready(), status.stopping));
            if ready && !self.notifier.was_ready() {
                self.notifier.ready(&text);
            } else if text != told {
                self.notifier.status(&text);
            }
            told = text;
            tokio::select! {
                () = self.board.changed() => {}
                () = next(&mut beat) => still = self.beat(still),
                _ = again.tick(), if stopping => self.notifier.extend(MORE),
            }
        }
    }

    /// Says that all is alive, unless a panic broke something or a worker stands still; which is told once.
    fn beat(&self, told: bool) -> bool {
        if self.board.read(|status| status.broken.is_some()) {
            // Told already; only a new process mends it.
            return told;
        }
        let Some(worker) = self.watchdog.standing_still() else {
            self.notifier.alive();
            return false;
        };
        if !told {
            tracing::error!(target: "control", worker, "worker {worker} has been standing still for longer than faults.hung; the service manager is not told any more that this process lives, and ends it");
        }
        true
    }
}

/// The state in one line.
#[must_use]
pub(super) fn line(status: &Status) -> String {
    let generation = status.generation;
    if status.stopping {
        return format!("draining, generation {generation}");
    }
    let standing = match (status.ready(), status.degraded.first()) {
        (true, None) => "serves".to_owned(),
        (true, Some(first)) => format!("serves, degraded: {first}"),
        (false, Some(first)) => format!("not ready: {first}"),
        (false, None) => "not ready".to_owned(),
    };
    let more = status.degraded.len().saturating_sub(1);
    let more = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    let refused = status.last_change.as_ref();
    let refused = refused
        .filter(|change| change.outcome == "refused")
        .and_then(|change| change.errors.first())
        .map_or_else(String::new, |error| format!("; refused: {error}"));
    format!("generation {generation} {standing}{more}{refused}")
}

fn every(time: Duration) -> Interval {
    let mut interval = interval(time.max(Duration::from_millis(1)));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

async fn next(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_in_one_line() {
        let board = Board::new(1);
        let shown = || board.read(line);
        assert_eq!(shown(), "generation 0 not ready");
        board.update(|status| {
            status.generation = 3;
            status.degraded = vec!["a is missing".to_owned(), "b".to_owned()];
        });
        assert_eq!(shown(), "generation 3 not ready: a is missing and 1 more");
        board.update(|status| {
            status.degraded.clear();
            status.once_complete = true;
        });
        assert_eq!(shown(), "generation 3 serves");
        board.update(|status| status.stopping = true);
        assert_eq!(shown(), "draining, generation 3");
    }
}
