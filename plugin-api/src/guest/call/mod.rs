//! The gateway's table, function by function, and which exchange this thread is in.
//!
//! - here: [`Raw`], the functions of one running exchange, and `Gateway`, those that need none;
//! - `request`, `shared`, [`metric`], `body`, `wait`, `area`: the functions, by what they are about;
//! - `here`: which gateway and which exchange this thread works for.

pub(crate) mod area;
mod body;
mod here;
pub mod metric;
mod request;
mod shared;
mod wait;

use std::marker::PhantomData;

use swapgate_abi::{ExchangeTok, SgHost, SgStr};

pub(crate) use here::Running;
pub(super) use here::{here, publish, report_panic, running_exchange, write_log};

use crate::status::HostError;
use crate::view::{self, Value};

/// The functions of the gateway for one exchange, named as in `swapgate.h`, in every phase.
///
/// The typed handles are built on this and leave out what their phase does not allow; here the gateway says so
/// ([`HostError::WrongPhase`]). It lives no longer than the hook and stays on its thread.
#[derive(Debug)]
pub struct Raw<'a> {
    host: *const SgHost,
    token: ExchangeTok,
    // Neither Send nor Sync: the gateway answers only on the thread of the running hook.
    life: PhantomData<(&'a (), *mut ())>,
}

impl<'a> Raw<'a> {
    /// Wraps the arguments of a hook.
    ///
    /// # Safety
    ///
    /// `host` must point to a complete table that stays for `'a`.
    pub(crate) unsafe fn new(host: *const SgHost, token: ExchangeTok) -> Self {
        Self {
            host,
            token,
            life: PhantomData,
        }
    }

    /// The token of this exchange.
    #[must_use]
    pub fn token(&self) -> ExchangeTok {
        self.token
    }

    /// The same functions under another token. One that is not the running exchange's is answered
    /// [`HostError::Stale`].
    pub fn with_token(&mut self, token: ExchangeTok) -> Raw<'_> {
        Raw {
            host: self.host,
            token,
            life: PhantomData,
        }
    }

    /// The functions that may be called without an exchange, of the same gateway.
    pub(crate) fn gateway(&self) -> Gateway {
        Gateway(self.host)
    }

    fn table(&self) -> &SgHost {
        // SAFETY: new() was promised a complete table that outlives self; the gateway never changes it.
        unsafe { &*self.host }
    }

    /// Reads a view that a host function filled in.
    fn view(&self, code: i32, out: SgStr) -> Result<Value<'_>, HostError> {
        HostError::check(code)?;
        // SAFETY: the gateway answered SG_OK, so `out` is a view that stays until the exchange is changed, which takes
        // `&mut self`, or the hook returns, which ends self.
        Ok(Value::new(unsafe { view::bytes(out) }))
    }

    /// Writes one line to the gateway's log. The `log` crate is nicer.
    ///
    /// # Errors
    ///
    /// As `log` in the header.
    pub fn log(&self, level: u32, text: &str) -> Result<(), HostError> {
        let text = SgStr::new(text.as_bytes());
        // SAFETY: the table is complete (new()); `text` is read during the call only.
        HostError::check(unsafe { (self.table().log)(self.host, level, text) })
    }
}

/// The functions of the gateway that any thread may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gateway(*const SgHost);

// SAFETY: only functions that any thread may call are called through it, or the gateway says that this is the wrong one.
// The table never changes, and the gateway keeps it for as long as code of this image can run (testing keeps it for ever).
unsafe impl Send for Gateway {}
// SAFETY: as above; several threads may call at once.
unsafe impl Sync for Gateway {}

impl Gateway {
    /// Wraps a table.
    ///
    /// # Safety
    ///
    /// `host` must be a complete table that stays for as long as code of this image can run.
    pub(crate) unsafe fn new(host: *const SgHost) -> Self {
        Self(host)
    }

    /// The gateway this thread works for, or else that of this image. None before entry and after unload.
    pub(crate) fn here() -> Option<Self> {
        let host = here();
        (!host.is_null()).then_some(Self(host))
    }

    pub(crate) fn host(self) -> *const SgHost {
        self.0
    }

    fn table(&self) -> &SgHost {
        // SAFETY: whoever made self vouched for a complete table that stays.
        unsafe { &*self.0 }
    }
}
