//! One operation of the gateway, as a future. It starts when it is polled first and is cancelled when it is dropped.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use swapgate_abi::{OpTok, ScopeTok, SgEvent};

use super::frame;
use crate::guest::call::{self, Gateway, area};
use crate::ops::http::Answer;
use crate::status::HostError;

/// What an operation brings.
#[derive(Debug)]
pub(crate) enum Output {
    Nothing,
    Answer(Answer),
    Addresses(Vec<IpAddr>),
}

/// How the data of its event is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Http,
    Resolve,
}

/// An operation that runs. The task that started it and the future that waits for it share it.
pub(super) struct Leaf {
    op: OpTok,
    scope: ScopeTok,
    /// Whether the scope is an instance, so that any thread may cancel it.
    background: bool,
    gateway: Gateway,
    kind: Kind,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    output: Option<Result<Output, HostError>>,
    waker: Option<Waker>,
}

impl Leaf {
    pub(super) fn op(&self) -> OpTok {
        self.op
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the event of this operation says.
    ///
    /// # Safety
    ///
    /// `event` is that of this operation, and readable for this call with all it points to.
    pub(super) unsafe fn read(&self, event: &SgEvent) -> Result<Output, HostError> {
        HostError::check(event.result)?;
        match self.kind {
            Kind::Plain => Ok(Output::Nothing),
            // SAFETY: the caller vouches for it.
            Kind::Http => unsafe { area::answer_of(event) }.map(Output::Answer),
            // SAFETY: the caller vouches for it.
            Kind::Resolve => unsafe { area::addresses_of(event) }.map(Output::Addresses),
        }
    }

    pub(super) fn complete(&self, output: Result<Output, HostError>) {
        let waker = {
            let mut state = self.lock();
            state.output.get_or_insert(output);
            state.waker.take()
        };
        // A waker may be anybody's code.
        let _ = crate::guest::forward::barrier(|| waker.map(Waker::wake));
    }

    /// Nobody waits for it any more.
    fn cancel(&self) {
        if self.lock().output.is_some() {
            return;
        }
        let in_task = frame::current(|frame| {
            let frame = frame.filter(|frame| frame.scope() == self.scope)?;
            frame.take_leaf(self.op)
        });
        // Where this is another thread than the exchange's, nobody may cancel it, and the event will find nobody.
        if in_task.is_some() || call::running_exchange() == self.scope || self.background {
            let _ = self.gateway.op_cancel(self.scope, self.op);
        }
    }
}

// Nothing in it is ever pinned: what starts the operation is moved out to be called.
impl<S> Unpin for Operation<S> {}

/// Waits for an operation that `start` begins.
#[derive(Debug)]
pub(crate) struct Operation<S> {
    kind: Kind,
    step: Step<S>,
}

enum Step<S> {
    New(S),
    Running(Arc<Leaf>),
    Over,
}

impl<S> std::fmt::Debug for Step<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::New(_) => "New",
            Self::Running(_) => "Running",
            Self::Over => "Over",
        })
    }
}

impl<S> Operation<S>
where
    S: FnOnce(Gateway, ScopeTok) -> Result<OpTok, HostError>,
{
    pub(crate) fn new(kind: Kind, start: S) -> Self {
        let step = Step::New(start);
        Self { kind, step }
    }

    fn start(kind: Kind, start: S) -> Result<Arc<Leaf>, HostError> {
        frame::current(|frame| {
            let frame = frame.ok_or(HostError::WrongThread)?;
            let leaf = Arc::new(Leaf {
                op: start(frame.gateway(), frame.scope())?,
                scope: frame.scope(),
                background: frame.in_background(),
                gateway: frame.gateway(),
                kind,
                state: Mutex::default(),
            });
            frame.add_leaf(&leaf);
            Ok(leaf)
        })
    }
}

impl<S> Future for Operation<S>
where
    S: FnOnce(Gateway, ScopeTok) -> Result<OpTok, HostError>,
{
    type Output = Result<Output, HostError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let kind = self.kind;
        let leaf = match std::mem::replace(&mut self.step, Step::Over) {
            Step::New(start) => Self::start(kind, start)?,
            Step::Running(leaf) => leaf,
            Step::Over => return Poll::Ready(Err(HostError::Stale)),
        };
        if let Some(output) = leaf.lock().output.take() {
            return Poll::Ready(output);
        }
        remember(&leaf, context.waker());
        self.step = Step::Running(leaf);
        Poll::Pending
    }
}

/// Keeps a waker, unless the task that started the operation asks with its own: that is polled after every event.
fn remember(leaf: &Leaf, waker: &Waker) {
    let own = frame::current(|frame| {
        frame.is_some_and(|frame| frame.awaits(leaf.op) && frame.signal.is_own(waker))
    });
    // A waker may be anybody's code, also where it is copied and dropped: no lock is held meanwhile.
    let known = leaf.lock().waker.take();
    let next = match known {
        _ if own => None,
        Some(known) if known.will_wake(waker) => Some(known),
        _ => Some(waker.clone()),
    };
    leaf.lock().waker = next;
}

impl<S> Drop for Operation<S> {
    fn drop(&mut self) {
        if let Step::Running(leaf) = &self.step {
            leaf.cancel();
        }
    }
}
