//! What a task has at hand while it is polled or dropped. Leaves and handles find it through the thread.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::Arc;

use swapgate_abi::{OpTok, ScopeTok};

use super::leaf::Leaf;
use super::signal::Signal;
use crate::guest::call::{Gateway, Raw};
use crate::status::HostError;

/// The part of a task that its own future reaches.
pub(super) struct Frame {
    gateway: Gateway,
    scope: ScopeTok,
    /// Whether the scope is an instance, which any thread may reach.
    background: bool,
    /// Whether a handle may reach the exchange: not while another one does, for views live as long as that.
    open: Cell<bool>,
    pub(super) signal: Signal,
    leaves: RefCell<Vec<Arc<Leaf>>>,
}

thread_local! {
    // No destructor, so that this does not keep the image mapped.
    static FRAME: Cell<*const Frame> = const { Cell::new(ptr::null()) };
}

impl Frame {
    pub(super) fn new(gateway: Gateway, scope: ScopeTok, background: bool) -> Self {
        Self {
            gateway,
            scope,
            background,
            open: Cell::new(true),
            signal: Signal::default(),
            leaves: RefCell::default(),
        }
    }

    pub(super) fn gateway(&self) -> Gateway {
        self.gateway
    }

    pub(super) fn scope(&self) -> ScopeTok {
        self.scope
    }

    pub(super) fn in_background(&self) -> bool {
        self.background
    }

    pub(super) fn add_leaf(&self, leaf: &Arc<Leaf>) {
        self.leaves.borrow_mut().push(Arc::clone(leaf));
    }

    pub(super) fn awaits(&self, op: OpTok) -> bool {
        self.leaves.borrow().iter().any(|leaf| leaf.op() == op)
    }

    pub(super) fn take_leaf(&self, op: OpTok) -> Option<Arc<Leaf>> {
        let mut leaves = self.leaves.borrow_mut();
        let place = leaves.iter().position(|leaf| leaf.op() == op)?;
        Some(leaves.swap_remove(place))
    }

    /// Ends what the future of this task began and gave to somebody else.
    pub(super) fn abandon(&self) {
        for leaf in self.leaves.take() {
            let _ = self.gateway.op_cancel(self.scope, leaf.op());
            leaf.complete(Err(HostError::Cancelled));
        }
    }
}

/// Notes for as long as it lives that this thread is in a task.
pub(super) struct Inside<'f> {
    before: *const Frame,
    _frame: &'f Frame,
}

impl<'f> Inside<'f> {
    pub(super) fn enter(frame: &'f Frame) -> Self {
        let before = FRAME.replace(ptr::from_ref(frame));
        Self {
            before,
            _frame: frame,
        }
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        FRAME.set(self.before);
    }
}

/// Runs with the frame of the task this thread is in, if it is in one.
pub(super) fn current<R>(run: impl FnOnce(Option<&Frame>) -> R) -> R {
    // SAFETY: who put it there borrows it for as long as it stands there, and takes it back before this returns to it.
    run(unsafe { FRAME.get().as_ref() })
}

/// Runs with the functions of an exchange, if this thread polls a task of it and nobody else is at it.
pub(in crate::guest) fn with_raw<R>(
    exchange: ScopeTok,
    run: impl FnOnce(Raw<'_>) -> R,
) -> Result<R, HostError> {
    struct Open<'o>(&'o Cell<bool>);
    impl Drop for Open<'_> {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    current(|frame| {
        let frame = frame.ok_or(HostError::WrongThread)?;
        if frame.scope != exchange || !frame.open.replace(false) {
            return Err(HostError::Stale);
        }
        let _open = Open(&frame.open);
        // SAFETY: the table of a gateway is complete and stays; the handle made of this ends with `run`.
        Ok(run(unsafe { Raw::new(frame.gateway.host(), exchange) }))
    })
}
