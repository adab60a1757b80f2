//! Async hooks: the SDK is its own executor of one task, whose leaves are operations of the gateway.
//!
//! - here: a task, and how it is polled and dropped;
//! - `frame`: what a task has at hand while it is polled; leaves find it through the thread;
//! - `signal`: wakers, which other threads may use;
//! - `leaf`: one operation, waited for;
//! - `background`: the tasks of an instance, outside of exchanges.
//!
//! The future of a hook is boxed and polled at once. If it is ready, that box is all it cost. If not, the task is kept in the
//! exchange until an event of the gateway is for it. Nothing here knows threads of its own, and nothing blocks.

pub(crate) mod background;
pub(crate) mod blocking;
mod frame;
mod leaf;
mod signal;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use swapgate_abi::{InstanceTok, ScopeTok, SgEvent};

pub(in crate::guest) use frame::with_raw;
use frame::{Frame, Inside};
pub(crate) use leaf::{Kind, Operation, Output};

use super::call::Gateway;
use super::forward;
use crate::status::HostError;

/// How often a task that wakes itself is polled before the worker sees to others.
const ROUNDS: usize = 16;

/// A future and what it waits for.
pub(in crate::guest) struct Task<F: ?Sized + Future> {
    frame: Frame,
    /// Taken to be dropped where no panic gets out.
    future: Option<Pin<Box<F>>>,
}

/// What came of polling.
pub(in crate::guest) enum Polled<R> {
    Ready(R),
    Pending,
    Panicked,
    /// It can never be woken.
    Failed(HostError),
}

impl<F: ?Sized + Future> Task<F> {
    /// A task of an exchange.
    pub(in crate::guest) fn new(gateway: Gateway, scope: ScopeTok, future: Pin<Box<F>>) -> Self {
        Self {
            frame: Frame::new(gateway, scope, false),
            future: Some(future),
        }
    }

    /// A task of an instance, outside of exchanges.
    pub(super) fn of_instance(
        gateway: Gateway,
        instance: InstanceTok,
        future: Pin<Box<F>>,
    ) -> Self {
        Self {
            frame: Frame::new(gateway, instance, true),
            future: Some(future),
        }
    }

    /// Polls until there is something to wait for.
    pub(in crate::guest) fn poll(&mut self) -> Polled<F::Output> {
        let Some(future) = &mut self.future else {
            return Polled::Failed(HostError::Stale);
        };
        for _ in 0..ROUNDS {
            self.frame.signal.clear();
            let polled = {
                let _inside = Inside::enter(&self.frame);
                let waker = self.frame.signal.waker();
                let mut context = Context::from_waker(&waker);
                forward::barrier(|| future.as_mut().poll(&mut context))
            };
            match polled {
                Ok(Poll::Ready(result)) => return Polled::Ready(result),
                Ok(Poll::Pending) => {}
                // The panic hook has told the gateway already, with the place.
                Err(_) => return Polled::Panicked,
            }
            match self
                .frame
                .signal
                .settle(self.frame.gateway(), self.frame.scope())
            {
                Ok(true) => {}
                Ok(false) => return Polled::Pending,
                Err(error) => return Polled::Failed(error),
            }
        }
        match self
            .frame
            .signal
            .wake_later(self.frame.gateway(), self.frame.scope())
        {
            Ok(()) => Polled::Pending,
            Err(error) => Polled::Failed(error),
        }
    }

    /// Whether somebody woke it since it was polled.
    pub(in crate::guest) fn is_woken(&self) -> bool {
        self.frame.signal.is_woken()
    }

    /// Has it polled the next time somebody looks.
    pub(in crate::guest) fn mark_woken(&self) {
        self.frame.signal.mark_woken();
    }

    /// Hands the result of an operation to who waits for it. False: nobody does, any more.
    ///
    /// # Safety
    ///
    /// `event` is readable for this call, with all it points to.
    pub(in crate::guest) unsafe fn complete(&self, event: &SgEvent) -> bool {
        let Some(leaf) = self.frame.take_leaf(event.op) else {
            return false;
        };
        // SAFETY: the caller vouches for the event, and the leaf is the one that started this operation.
        let output = unsafe { leaf.read(event) };
        let _inside = Inside::enter(&self.frame);
        leaf.complete(output);
        true
    }

    /// Drops the future, and with it what it waits for. False: that panicked.
    pub(in crate::guest) fn end(mut self) -> bool {
        self.drop_future()
    }

    fn drop_future(&mut self) -> bool {
        let future = self.future.take();
        let clean = {
            let _inside = Inside::enter(&self.frame);
            forward::barrier(|| drop(future)).is_ok()
        };
        self.frame.abandon();
        clean
    }
}

impl<F: ?Sized + Future> Drop for Task<F> {
    fn drop(&mut self) {
        if self.future.is_some() {
            self.drop_future();
        }
    }
}
