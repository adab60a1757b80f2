//! The gateway's table, function by function, and which exchange this thread is in.

pub mod metric;

use std::cell::Cell;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use swapgate_abi::{ExchangeTok, ReleaseFn, SgHeader, SgHost, SgStr, code};

use crate::status::HostError;
use crate::view::{self, Headers, Value};

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

    /// The text of an attribute.
    ///
    /// # Errors
    ///
    /// As `attr_text` in the header.
    pub fn attr_text(&self, attr: u32) -> Result<Value<'_>, HostError> {
        let mut out = SgStr::EMPTY;
        // SAFETY: the table is complete (new()), and `out` is a local of the right type.
        let code = unsafe { (self.table().attr_text)(self.host, self.token, attr, &raw mut out) };
        self.view(code, out)
    }

    /// The value of a number attribute.
    ///
    /// # Errors
    ///
    /// As `attr_number` in the header.
    pub fn attr_number(&self, attr: u32) -> Result<u64, HostError> {
        let mut out = 0;
        // SAFETY: the table is complete (new()), and `out` is a local of the right type.
        let code = unsafe { (self.table().attr_number)(self.host, self.token, attr, &raw mut out) };
        HostError::check(code).map(|()| out)
    }

    /// Sets method, path or query.
    ///
    /// # Errors
    ///
    /// As `attr_set` in the header.
    pub fn attr_set(&mut self, attr: u32, value: &[u8]) -> Result<(), HostError> {
        let value = SgStr::new(value);
        // SAFETY: the table is complete (new()); the gateway reads `value` during the call only.
        HostError::check(unsafe { (self.table().attr_set)(self.host, self.token, attr, value) })
    }

    /// A path parameter by name.
    ///
    /// # Errors
    ///
    /// As `param_get` in the header.
    pub fn param_get(&self, name: &str) -> Result<Value<'_>, HostError> {
        let mut out = SgStr::EMPTY;
        let name = SgStr::new(name.as_bytes());
        // SAFETY: the table is complete (new()); `name` is read during the call, `out` is a local.
        let code = unsafe { (self.table().param_get)(self.host, self.token, name, &raw mut out) };
        self.view(code, out)
    }

    /// A path parameter by index: its name and its value.
    ///
    /// # Errors
    ///
    /// As `param_nth` in the header.
    pub fn param_nth(&self, index: usize) -> Result<(Value<'_>, Value<'_>), HostError> {
        let (mut name, mut value) = (SgStr::EMPTY, SgStr::EMPTY);
        let (name_out, value_out) = (&raw mut name, &raw mut value);
        // SAFETY: the table is complete (new()); both outs are locals of the right type.
        let code =
            unsafe { (self.table().param_nth)(self.host, self.token, index, name_out, value_out) };
        Ok((self.view(code, name)?, self.view(code, value)?))
    }

    /// The first value of a header.
    ///
    /// # Errors
    ///
    /// As `header_get` in the header.
    pub fn header_get(&self, map: u32, name: &str) -> Result<Value<'_>, HostError> {
        let mut out = SgStr::EMPTY;
        let name = SgStr::new(name.as_bytes());
        // SAFETY: the table is complete (new()); `name` is read during the call, `out` is a local.
        let code =
            unsafe { (self.table().header_get)(self.host, self.token, map, name, &raw mut out) };
        self.view(code, out)
    }

    /// The value of a header with this index.
    ///
    /// # Errors
    ///
    /// As `header_nth` in the header.
    pub fn header_nth(&self, map: u32, name: &str, index: usize) -> Result<Value<'_>, HostError> {
        let mut out = SgStr::EMPTY;
        let (name, to) = (SgStr::new(name.as_bytes()), &raw mut out);
        // SAFETY: the table is complete (new()); `name` is read during the call, `out` is a local.
        let code =
            unsafe { (self.table().header_nth)(self.host, self.token, map, name, index, to) };
        self.view(code, out)
    }

    /// All headers of a map.
    ///
    /// # Errors
    ///
    /// As `headers_list` in the header.
    pub fn headers_list(&self, map: u32) -> Result<Headers<'_>, HostError> {
        const EMPTY: SgHeader = SgHeader {
            name: SgStr::EMPTY,
            value: SgStr::EMPTY,
        };
        let mut entries = vec![EMPTY; 32];
        loop {
            let mut count = 0;
            let (out, cap) = (entries.as_mut_ptr(), entries.len());
            let list = self.table().headers_list;
            // SAFETY: the table is complete (new()); `out` has room for `cap` entries, `count` is a local.
            let code = unsafe { list(self.host, self.token, map, out, cap, &raw mut count) };
            HostError::check(code)?;
            let complete = count <= cap;
            entries.resize(count, EMPTY);
            if complete {
                // SAFETY: the gateway filled in `count` entries; they stay until a change, which takes `&mut self`.
                return Ok(unsafe { Headers::from_raw(entries) });
            }
        }
    }

    /// Replaces every value of a header by one.
    ///
    /// # Errors
    ///
    /// As `header_set` in the header.
    pub fn header_set(&mut self, map: u32, name: &str, value: &[u8]) -> Result<(), HostError> {
        let (name, value) = (SgStr::new(name.as_bytes()), SgStr::new(value));
        // SAFETY: the table is complete (new()); both texts are read during the call only.
        let code = unsafe { (self.table().header_set)(self.host, self.token, map, name, value) };
        HostError::check(code)
    }

    /// Adds a value to a header.
    ///
    /// # Errors
    ///
    /// As `header_append` in the header.
    pub fn header_append(&mut self, map: u32, name: &str, value: &[u8]) -> Result<(), HostError> {
        let (name, value) = (SgStr::new(name.as_bytes()), SgStr::new(value));
        // SAFETY: the table is complete (new()); both texts are read during the call only.
        let code = unsafe { (self.table().header_append)(self.host, self.token, map, name, value) };
        HostError::check(code)
    }

    /// Removes a header with all its values.
    ///
    /// # Errors
    ///
    /// As `header_remove` in the header.
    pub fn header_remove(&mut self, map: u32, name: &str) -> Result<(), HostError> {
        let name = SgStr::new(name.as_bytes());
        // SAFETY: the table is complete (new()); `name` is read during the call only.
        HostError::check(unsafe { (self.table().header_remove)(self.host, self.token, map, name) })
    }

    /// Makes the answer.
    ///
    /// # Errors
    ///
    /// As `respond` in the header.
    pub fn respond(
        &mut self,
        status: u32,
        headers: &[(&str, &[u8])],
        body: &[u8],
    ) -> Result<(), HostError> {
        let headers: Vec<SgHeader> = headers
            .iter()
            .map(|(name, value)| SgHeader {
                name: SgStr::new(name.as_bytes()),
                value: SgStr::new(value),
            })
            .collect();
        let (first, count, body) = (headers.as_ptr(), headers.len(), SgStr::new(body));
        let respond = self.table().respond;
        // SAFETY: the table is complete (new()); `first` points to `count` entries, all read during the call only.
        HostError::check(unsafe { respond(self.host, self.token, status, first, count, body) })
    }

    /// A variable of this exchange.
    ///
    /// # Errors
    ///
    /// As `var_get` in the header.
    pub fn var_get(&self, name: &str) -> Result<Value<'_>, HostError> {
        let mut out = SgStr::EMPTY;
        let name = SgStr::new(name.as_bytes());
        // SAFETY: the table is complete (new()); `name` is read during the call, `out` is a local.
        let code = unsafe { (self.table().var_get)(self.host, self.token, name, &raw mut out) };
        self.view(code, out)
    }

    /// Sets a variable of this exchange.
    ///
    /// # Errors
    ///
    /// As `var_set` in the header.
    pub fn var_set(&mut self, name: &str, value: &[u8]) -> Result<(), HostError> {
        let (name, value) = (SgStr::new(name.as_bytes()), SgStr::new(value));
        // SAFETY: the table is complete (new()); both texts are read during the call only.
        HostError::check(unsafe { (self.table().var_set)(self.host, self.token, name, value) })
    }

    /// The state this instance left in this exchange.
    pub(crate) fn state_get(&self) -> Result<*mut c_void, HostError> {
        let mut out = ptr::null_mut();
        // SAFETY: the table is complete (new()), and `out` is a local of the right type.
        let code = unsafe { (self.table().state_get)(self.host, self.token, &raw mut out) };
        HostError::check(code).map(|()| out)
    }

    /// Leaves a state. On success the gateway owns it until it calls `release`.
    ///
    /// # Safety
    ///
    /// `release` may be called once with `state`, later and on this thread or another.
    pub(crate) unsafe fn state_set(
        &mut self,
        state: *mut c_void,
        release: ReleaseFn,
    ) -> Result<(), HostError> {
        let set = self.table().state_set;
        // SAFETY: the table is complete (new()); the caller vouches for `state` and `release`.
        HostError::check(unsafe { set(self.host, self.token, state, Some(release)) })
    }

    /// The authenticated consumer.
    ///
    /// # Errors
    ///
    /// As `consumer_get` in the header.
    pub fn consumer_get(&self) -> Result<Value<'_>, HostError> {
        let mut out = SgStr::EMPTY;
        // SAFETY: the table is complete (new()), and `out` is a local of the right type.
        let code = unsafe { (self.table().consumer_get)(self.host, self.token, &raw mut out) };
        self.view(code, out)
    }

    /// Names the consumer.
    ///
    /// # Errors
    ///
    /// As `consumer_set` in the header.
    pub fn consumer_set(&mut self, consumer: &[u8]) -> Result<(), HostError> {
        let consumer = SgStr::new(consumer);
        // SAFETY: the table is complete (new()); `consumer` is read during the call only.
        HostError::check(unsafe { (self.table().consumer_set)(self.host, self.token, consumer) })
    }

    /// Says why this hook is about to fail.
    ///
    /// # Errors
    ///
    /// As `set_error` in the header.
    pub fn set_error(&mut self, text: &str) -> Result<(), HostError> {
        let text = SgStr::new(text.as_bytes());
        // SAFETY: the table is complete (new()); `text` is read during the call only.
        HostError::check(unsafe { (self.table().set_error)(self.host, self.token, text) })
    }
}

/// The table of this image, for threads on which no hook runs. Null before entry and after unload.
static HOST: AtomicPtr<SgHost> = AtomicPtr::new(ptr::null_mut());

thread_local! {
    // No destructor, so that this does not keep the image mapped.
    static CURRENT: Cell<(*const SgHost, ExchangeTok)> = const { Cell::new((ptr::null(), 0)) };
}

/// Makes the table known to threads of the plugin, or takes it back with null.
pub(super) fn publish(host: *const SgHost) {
    HOST.store(host.cast_mut(), Ordering::Release);
}

/// The table of the gateway this thread works for, or else of this image, or null.
pub(super) fn here() -> *const SgHost {
    let (host, _) = CURRENT.get();
    if host.is_null() {
        HOST.load(Ordering::Acquire).cast_const()
    } else {
        host
    }
}

/// Notes for as long as it lives that this thread runs a call of that gateway.
pub(crate) struct Running {
    before: (*const SgHost, ExchangeTok),
}

impl Running {
    /// `token` is 0 outside of exchanges.
    ///
    /// # Safety
    ///
    /// `host` must be null or a complete table that outlives the guard.
    pub(crate) unsafe fn enter(host: *const SgHost, token: ExchangeTok) -> Self {
        let before = CURRENT.replace((host, token));
        Self { before }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        CURRENT.set(self.before);
    }
}

/// Writes one line to the log of the gateway that this thread works for, if there is one.
pub(super) fn write_log(level: u32, text: &str) -> bool {
    let host = here();
    if host.is_null() {
        return false;
    }
    // SAFETY: Running::enter() or entry were promised a complete table; it is valid until unload() has returned, and
    // unload() publishes null first.
    let log = unsafe { (*host).log };
    // SAFETY: as above; the text is read during the call only.
    unsafe { log(host, level, SgStr::new(text.as_bytes())) };
    true
}

/// Tells the gateway of a panic, and the running exchange why it fails. False: there is no gateway to tell.
pub(super) fn report_panic(text: &str) -> bool {
    let (host, token) = CURRENT.get();
    if !host.is_null() && token != 0 {
        // SAFETY: Running::enter() was promised a complete table that outlives the guard, which is still there.
        let set_error = unsafe { (*host).set_error };
        // SAFETY: as above; the text is read during the call only.
        unsafe { set_error(host, token, SgStr::new(text.as_bytes())) };
    }
    write_log(code::SG_LOG_ERROR, text)
}
