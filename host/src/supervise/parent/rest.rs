//! The rest between two starts, where children die again and again.

use std::time::{Duration, Instant};

use super::Parent;
use super::signals::Signals;

/// Deaths within this time make the next start wait.
const RECENT: Duration = Duration::from_secs(60);
/// So many of them do not: a file is put into quarantine after some.
const AT_ONCE: u32 = 5;
/// The first and the longest wait.
const WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

impl Parent {
    /// Rests before the next start where there were many deaths; false if an operator asked for the end meanwhile.
    pub(super) async fn rest(&mut self, signals: &mut Signals) -> bool {
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
