//! How long to wait before a request is sent again.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep;

use crate::activity::Activity;
use crate::config::ready::Retries;

/// The pause before the retry after `paused` other ones: a random part of a limit that doubles ("full jitter", Marc Brooker:
/// Exponential Backoff and Jitter, AWS Architecture Blog, 2015). `random`: from 0 to below 1.
pub(in crate::upstream) fn length(policy: &Retries, paused: u32, random: f64) -> Duration {
    let factor = 1_u32.checked_shl(paused).unwrap_or(u32::MAX);
    let limit = policy
        .backoff
        .saturating_mul(factor)
        .min(policy.max_backoff);
    limit.mul_f64(random.clamp(0.0, 1.0))
}

/// Waits. A drain ends it: then the request is sent at once, for others wait for its end.
pub(in crate::upstream) async fn pause(length: Duration, activity: &Activity) {
    if length.is_zero() {
        return;
    }
    let mut over = pin!(sleep(length));
    poll_fn(|cx| {
        if activity.is_ending() {
            return Poll::Ready(());
        }
        over.as_mut().poll(cx)
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let policy = Retries {
            attempts: 9,
            on: crate::config::ready::RetryOn::default(),
            budget: 20,
            backoff: Duration::from_millis(25),
            max_backoff: Duration::from_millis(250),
            body_bytes: 0,
        };
        let longest = |paused| length(&policy, paused, 1.0).as_millis();
        let limits: Vec<_> = [0, 1, 2, 3, 4, 31, 32, u32::MAX].map(longest).into();
        assert_eq!(limits, [25, 50, 100, 200, 250, 250, 250, 250]);
        assert_eq!(length(&policy, 1, 0.5), Duration::from_millis(25));
        assert_eq!(length(&policy, 9, 0.0), Duration::ZERO);
    }
}
