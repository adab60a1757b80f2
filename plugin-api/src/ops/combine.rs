//! Several futures at once.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use super::sleep;
use crate::status::HostError;

/// Which of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first one.
    Left(A),
    /// The second one.
    Right(B),
}

/// Waits for the one that is ready first and drops the other. Where both are, the first one counts.
pub async fn race<A: Future, B: Future>(a: A, b: B) -> Either<A::Output, B::Output> {
    let (mut a, mut b) = (pin!(a), pin!(b));
    poll_fn(|context| {
        if let Poll::Ready(result) = a.as_mut().poll(context) {
            return Poll::Ready(Either::Left(result));
        }
        b.as_mut().poll(context).map(Either::Right)
    })
    .await
}

/// Waits for both.
pub async fn join<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut of_a, mut of_b) = (None, None);
    poll_fn(|context| {
        if of_a.is_none()
            && let Poll::Ready(result) = a.as_mut().poll(context)
        {
            of_a = Some(result);
        }
        if of_b.is_none()
            && let Poll::Ready(result) = b.as_mut().poll(context)
        {
            of_b = Some(result);
        }
        match (of_a.take(), of_b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (of_a, of_b) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

/// Waits for all of them; the results stand in the order of the futures.
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut parts: Vec<Part<F>> = futures.into_iter().map(Part::new).collect();
    poll_fn(|context| {
        let mut pending = false;
        for part in &mut parts {
            if let Part::Running(future) = part {
                match future.as_mut().poll(context) {
                    Poll::Ready(result) => *part = Part::Done(result),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    let done = parts.into_iter().filter_map(Part::done);
    done.collect()
}

enum Part<F: Future> {
    Running(Pin<Box<F>>),
    Done(F::Output),
}

impl<F: Future> Part<F> {
    fn new(future: F) -> Self {
        Self::Running(Box::pin(future))
    }

    fn done(self) -> Option<F::Output> {
        match self {
            Self::Done(result) => Some(result),
            Self::Running(_) => None,
        }
    }
}

/// Waits for a future, but no longer than that; then it is dropped.
///
/// # Errors
///
/// [`HostError::Timeout`]: time is up. Those of [`sleep`].
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, HostError> {
    match race(future, sleep(duration)).await {
        Either::Left(result) => Ok(result),
        Either::Right(slept) => Err(slept.err().unwrap_or(HostError::Timeout)),
    }
}
