//! Holding a connection to its limits.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::time::{Sleep, sleep_until};

use crate::activity::streams::Through;
use crate::activity::{Activity, Overdue};
use crate::config::ready::{ClientTimeouts, Limits};

/// What a connection is held to: the limits in force when it began.
#[derive(Clone, Copy)]
pub(super) struct Held {
    pub(super) limits: Limits,
    pub(super) timeouts: ClientTimeouts,
}

/// Why a connection ended.
pub(super) enum Ended {
    /// By itself, well or not.
    By(hyper::Result<()>),
    /// The client took too long.
    Overdue(Overdue),
}

/// Holds a connection to its limits with one timer, which moves only when a limit comes nearer: a busy connection
/// costs it nothing.
pub(super) struct Guard {
    pub(super) activity: Rc<Activity>,
    pub(super) timeouts: ClientTimeouts,
    timer: Pin<Box<Sleep>>,
}

impl Guard {
    pub(super) fn new(activity: Rc<Activity>, timeouts: ClientTimeouts) -> Self {
        let first = Instant::now() + timeouts.header;
        activity.timer_is_set(first);
        let timer = Box::pin(sleep_until(first.into()));
        Self {
            activity,
            timeouts,
            timer,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Overdue> {
        self.activity.watch(cx.waker());
        let due = self.activity.deadline(&self.timeouts);
        if let Some((at, _)) = due
            && at < self.timer.deadline().into_std()
        {
            self.set(at);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let due = self.activity.deadline(&self.timeouts);
            // While nothing is waited for, look again later; a limit that comes nearer moves the timer before that.
            let later = now + self.timeouts.idle.max(self.timeouts.header);
            let next = match due {
                Some((at, Overdue::Upstream)) if at <= now => {
                    // Not the client's doing: the exchange is told, and answers.
                    self.activity.answer_is_late();
                    cx.waker().wake_by_ref();
                    later
                }
                Some((at, Overdue::Total)) if at <= now => {
                    let unasked = self.activity.is_blocked();
                    self.activity.total_is_over();
                    if unasked {
                        // Nobody asks for more of an answer that the client takes nothing of.
                        self.activity.gives_up();
                        return Poll::Ready(Overdue::Total);
                    }
                    cx.waker().wake_by_ref();
                    self.activity
                        .deadline(&self.timeouts)
                        .map_or(later, |(at, _)| at)
                }
                Some((at, Overdue::Look)) if at <= now => {
                    // The socket looks when it is asked to flush, which hyper does whenever it is polled.
                    self.activity.look_is_due(now);
                    cx.waker().wake_by_ref();
                    self.activity
                        .deadline(&self.timeouts)
                        .map_or(later, |(at, _)| at)
                }
                Some((at, Overdue::Streams)) if at <= now => {
                    if self.activity.look_through(now, &self.timeouts) == Through::Stuck {
                        self.activity.gives_up();
                        return Poll::Ready(Overdue::Answer);
                    }
                    self.activity
                        .deadline(&self.timeouts)
                        .map_or(later, |(at, _)| at)
                }
                Some((at, overdue)) if at <= now => {
                    if overdue == Overdue::Answer {
                        self.activity.gives_up();
                    }
                    return Poll::Ready(overdue);
                }
                Some((at, _)) => at,
                None => later,
            };
            self.set(next);
        }
        Poll::Pending
    }

    fn set(&mut self, at: Instant) {
        self.activity.timer_is_set(at);
        self.timer.as_mut().reset(at.into());
    }
}

#[cfg(test)]
mod tests;
