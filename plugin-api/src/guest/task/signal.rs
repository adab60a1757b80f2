//! Wakers. The one a future is polled with costs nothing; only a copy of it makes the gateway hand out a wake token.

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{RawWaker, RawWakerVTable, Wake, Waker};

use swapgate_abi::ScopeTok;

use crate::guest::call::Gateway;
use crate::status::HostError;

/// Who wants a task polled again.
#[derive(Default)]
pub(super) struct Signal {
    /// By the waker the future is polled with.
    woken: AtomicBool,
    /// By copies of it; made with the first one.
    far: OnceLock<Arc<Far>>,
}

/// What copies of the waker share; they may go to other threads and outlive the task.
#[derive(Default)]
struct Far {
    woken: AtomicBool,
    /// Where the wake token comes from; set once the poll that copied the waker is over. Before, `woken` is looked at.
    bell: OnceLock<Gateway>,
    token: AtomicU64,
}

/// The waker a future is polled with. It points to the signal and owns nothing.
pub(super) struct Near<'s> {
    waker: ManuallyDrop<Waker>,
    _signal: &'s Signal,
}

impl Deref for Near<'_> {
    type Target = Waker;

    fn deref(&self) -> &Waker {
        &self.waker
    }
}

static NEAR: RawWakerVTable = RawWakerVTable::new(copy_near, wake_near, wake_near, drop_near);

impl Signal {
    pub(super) fn waker(&self) -> Near<'_> {
        let raw = RawWaker::new(ptr::from_ref(self).cast(), &NEAR);
        Near {
            // SAFETY: the functions of NEAR may be called from any thread, for a signal is Sync; nobody else gets more
            // than a borrow of this waker, which ends before the signal does.
            waker: ManuallyDrop::new(unsafe { Waker::from_raw(raw) }),
            _signal: self,
        }
    }

    /// Whether that is the waker of this very signal, which needs no waking: after each event its task is polled.
    pub(super) fn is_own(&self, waker: &Waker) -> bool {
        ptr::eq(waker.data(), ptr::from_ref(self).cast())
            && ptr::eq(waker.vtable(), &raw const NEAR)
    }

    pub(super) fn clear(&self) {
        self.woken.store(false, Ordering::SeqCst);
        if let Some(far) = self.far.get() {
            far.woken.store(false, Ordering::SeqCst);
        }
    }

    pub(super) fn is_woken(&self) -> bool {
        let far = self.far.get();
        self.woken.load(Ordering::SeqCst) || far.is_some_and(|far| far.woken.load(Ordering::SeqCst))
    }

    pub(super) fn mark_woken(&self) {
        self.woken.store(true, Ordering::SeqCst);
    }

    /// Sees to it that copies of the waker can wake from now on. True: somebody has woken already.
    pub(super) fn settle(&self, gateway: Gateway, scope: ScopeTok) -> Result<bool, HostError> {
        if let Some(far) = self.far.get() {
            far.settle(gateway, scope)?;
        }
        Ok(self.is_woken())
    }

    /// Has the gateway call again, after others.
    pub(super) fn wake_later(&self, gateway: Gateway, scope: ScopeTok) -> Result<(), HostError> {
        let far = self.far.get_or_init(Arc::default);
        far.settle(gateway, scope)?;
        far.ring();
        Ok(())
    }
}

impl Far {
    fn settle(&self, gateway: Gateway, scope: ScopeTok) -> Result<(), HostError> {
        if self.token.load(Ordering::SeqCst) == 0 {
            let token = gateway.waker(scope)?;
            let _ = self.bell.set(gateway);
            // After this, a wake rings; one before it is found in `woken` by settle()'s caller.
            self.token.store(token, Ordering::SeqCst);
        }
        Ok(())
    }

    fn ring(&self) {
        let token = self.token.load(Ordering::SeqCst);
        if let (Some(gateway), true) = (self.bell.get(), token != 0) {
            // A task that is over is answered SG_E_STALE, which is fine.
            let _ = gateway.wake(token);
        }
    }
}

impl Wake for Far {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::SeqCst) {
            self.ring();
        }
    }
}

/// # Safety
///
/// `data` is the address of a signal that is borrowed for longer than the waker.
unsafe fn signal_of<'s>(data: *const ()) -> &'s Signal {
    // SAFETY: the caller vouches for it.
    unsafe { &*data.cast::<Signal>() }
}

unsafe fn copy_near(data: *const ()) -> RawWaker {
    // SAFETY: Signal::waker() puts the address of a signal there, which it borrows.
    let signal = unsafe { signal_of(data) };
    let far = Arc::clone(signal.far.get_or_init(Arc::default));
    let waker = ManuallyDrop::new(Waker::from(far));
    RawWaker::new(waker.data(), waker.vtable())
}

unsafe fn wake_near(data: *const ()) {
    // SAFETY: as in copy_near().
    unsafe { signal_of(data) }.mark_woken();
}

unsafe fn drop_near(_: *const ()) {}
