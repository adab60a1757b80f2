//! The limit on all of an exchange with the upstream: from the request that is forwarded to the last byte of the answer.
//!
//! The timer of the client's connection holds it (see [`Activity`]). Before the head of the answer it is looked at in one
//! place, here, whatever is waited for: room, a connection, a pause between two attempts, the answer, a plugin before its head
//! leaves. After that whoever relays the body looks.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::activity::Activity;
use crate::respond::failure::UpstreamFault;

/// The limit on all of an exchange with the upstream, until the head of its answer is there.
#[derive(Debug)]
pub struct Total<'a> {
    activity: &'a Activity,
    limit: Option<Duration>,
}

/// Something that takes a part of it.
#[derive(Debug, Clone, Copy)]
pub struct Part(Option<(Instant, Duration)>);

impl Part {
    /// It begins now; `limit` is that on all of it.
    #[must_use]
    pub fn begin(limit: Option<Duration>) -> Self {
        Self(limit.map(|limit| (Instant::now(), limit)))
    }

    /// Whether it has had at least half of the time. What had less came late into an exchange that others held up.
    #[must_use]
    pub fn had_most(self) -> bool {
        self.0
            .is_some_and(|(began, limit)| began.elapsed() >= limit / 2)
    }
}

impl<'a> Total<'a> {
    /// The time begins to run.
    #[must_use]
    pub fn begin(activity: &'a Activity, limit: Option<Duration>) -> Self {
        if let Some(limit) = limit {
            activity.limit_total(Instant::now().checked_add(limit));
        }
        Self { activity, limit }
    }

    /// Waits for something that is to come to its end in that time.
    ///
    /// # Errors
    /// Its own, or that the time has run out.
    pub async fn within<T, E: From<UpstreamFault>>(
        &self,
        mut doing: Pin<&mut impl Future<Output = Result<T, E>>>,
    ) -> Result<T, E> {
        let part = Part::begin(self.limit);
        let done = poll_fn(|cx| {
            let polled = doing.as_mut().poll(cx);
            if polled.is_pending() && self.activity.is_total_over() {
                let its_own = part.had_most();
                return Poll::Ready(Err(UpstreamFault::Overdue { its_own }.into()));
            }
            polled
        })
        .await;
        if done.is_err() {
            // What is answered instead comes from here.
            self.activity.limit_total(None);
        }
        done
    }
}

/// Waits for something between the head of the upstream's answer and the moment when it leaves; none: the time has run out.
pub async fn in_time<T>(
    activity: &Activity,
    mut doing: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    poll_fn(|cx| {
        let polled = doing.as_mut().poll(cx);
        if activity.is_total_over() {
            return Poll::Ready(None);
        }
        polled.map(Some)
    })
    .await
}
