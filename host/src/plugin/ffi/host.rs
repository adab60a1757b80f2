//! The host table: what plugins call.
//!
//! Each function reads its arguments, does one thing to the running [`Frame`] and answers with a code. Two rules hold
//! for all of them: a token that is not the running exchange's is answered, never followed; and nothing unwinds out.

use std::ffi::c_void;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use swapgate_abi as abi;
use swapgate_abi::{ExchangeTok, ReleaseFn, SgHeader, SgHost, SgStr};

use super::body::{
    body_append, body_append_own, body_drain, body_hold, body_ignore, body_len, body_pieces,
    body_replace,
};
use super::extension::extension;
use super::metric::{metric_add, metric_declare, metric_observe, metric_set};
use super::view::size_u32;
use super::waiting::{op_cancel, sleep, tick_every, upstream_set, wake, waker};
use super::{request, view};
use crate::context::headers::{append, changeable, set, value as header_value};
use crate::context::{Attribute, Denied, Frame, Number, State};
use crate::metrics::book::{Book, ImageMetrics};
use crate::ops::kv;
use crate::ops::services::Services;
use crate::panics::{Part, caught};
use crate::plugin::image::Image;

/// Who is calling: one loaded image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageIdentity {
    /// Id of the plugin.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Digest of the file, in hexadecimal.
    pub digest: String,
}

/// The table one image is given. Its address stays the same for as long as the box lives.
pub struct HostTable {
    raw: SgHost,
    /// Never a box: moving one says that no other pointer leads to what is in it, and `raw` has one.
    caller: Arc<Caller>,
}

/// What stands behind a host table: who calls, and what it counts.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) identity: Arc<ImageIdentity>,
    pub(super) metrics: ImageMetrics,
    /// What it keeps across swaps.
    pub(super) kv: kv::Space,
    /// What it shares with all others.
    pub(super) services: Arc<Services>,
    /// Whether this is the throw-away child, where nothing may be begun.
    pub(super) preflight: bool,
    /// The image in use, while there is one; what must outlive a request holds it.
    image: Mutex<Weak<Image>>,
}

impl Caller {
    /// The image that calls, to be kept mapped.
    pub(super) fn image(&self) -> Option<Arc<Image>> {
        let image = self.image.lock().unwrap_or_else(PoisonError::into_inner);
        image.upgrade()
    }
}

/// What host tables are made of.
#[derive(Debug, Clone)]
pub struct Grounds {
    /// Where metrics stand.
    pub book: Arc<Book>,
    /// What all plugins share.
    pub services: Arc<Services>,
    /// Whether this is the throw-away child of a preflight.
    pub preflight: bool,
}

// SAFETY: the one pointer in the table leads to the caller, which threads may share and which the `Arc` beside it keeps;
// functions are the same for every thread. For as long as the table lives.
unsafe impl Send for HostTable {}
// SAFETY: as above; the table itself never changes.
unsafe impl Sync for HostTable {}

impl Deref for HostTable {
    type Target = SgHost;

    fn deref(&self) -> &SgHost {
        &self.raw
    }
}

impl HostTable {
    /// Whose table it is.
    #[must_use]
    pub fn identity(&self) -> &Arc<ImageIdentity> {
        &self.caller.identity
    }

    /// What it counts.
    #[must_use]
    pub fn metrics(&self) -> &ImageMetrics {
        &self.caller.metrics
    }

    /// Says which image calls through it from now on.
    pub(in crate::plugin) fn belongs_to(&self, image: &Arc<Image>) {
        let mut place = self
            .caller
            .image
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *place = Arc::downgrade(image);
    }
}

/// Makes the table for one image.
#[must_use]
pub fn host_table(identity: Arc<ImageIdentity>, grounds: &Grounds) -> Box<HostTable> {
    let services = Arc::clone(&grounds.services);
    let caller = Arc::new(Caller {
        metrics: ImageMetrics::new(&grounds.book, &identity.id),
        kv: services.kv.space(&identity.id),
        services,
        preflight: grounds.preflight,
        image: Mutex::default(),
        identity,
    });
    let private_: *const c_void = Arc::as_ptr(&caller).cast();
    Box::new(HostTable {
        raw: SgHost {
            struct_size: size_u32::<SgHost>(),
            abi_minor: abi::ABI_MINOR,
            private_,
            log,
            attr_text,
            attr_number,
            attr_set,
            param_get,
            param_nth,
            header_get,
            header_nth,
            headers_list,
            header_set,
            header_append,
            header_remove,
            respond,
            var_get,
            var_set,
            state_get,
            state_set,
            consumer_get,
            consumer_set,
            set_error,
            metric_declare,
            metric_add,
            metric_set,
            metric_observe,
            extension,
            sleep,
            op_cancel,
            waker,
            wake,
            tick_every,
            upstream_set,
            body_len,
            body_pieces,
            body_drain,
            body_replace,
            body_append,
            body_append_own,
            body_hold,
            body_ignore,
        },
        caller,
    })
}

/// Runs one host function on the running frame.
pub(super) fn with(
    exchange: ExchangeTok,
    work: impl FnOnce(&mut Frame<'_>) -> Result<(), Denied>,
) -> i32 {
    let Some(frame) = request::running() else {
        return abi::SG_E_WRONG_THREAD;
    };
    if frame.context.token != exchange {
        return abi::SG_E_STALE;
    }
    barrier(|| match work(frame) {
        Ok(()) => abi::SG_OK,
        Err(denied) => denied.code(),
    })
}

/// Keeps a panic of ours from unwinding into foreign frames, which would end the process.
pub(super) fn barrier(work: impl FnOnce() -> i32) -> i32 {
    caught(Part::HostFunction, work).unwrap_or_else(|panicked| {
        panicked.say();
        abi::SG_E_FAILED
    })
}

/// An argument.
pub(super) fn input<'a>(text: SgStr) -> Result<&'a [u8], Denied> {
    // SAFETY: readable and unchanged until the host function returns is the contract's rule for texts that go in; every
    // slice made here is used within that function.
    unsafe { view::bytes(text) }.ok_or(Denied::Invalid)
}

/// A result.
pub(super) fn output<T>(out: *mut T, value: T) -> Result<(), Denied> {
    // SAFETY: null or room for a `T` is the contract's rule for results; used once, now.
    if unsafe { view::put(out, value) } {
        Ok(())
    } else {
        Err(Denied::Invalid)
    }
}

/// A view that a plugin may read until it expires.
#[cfg(not(debug_assertions))]
fn shown(_: &Frame<'_>, _: u32, bytes: &[u8]) -> SgStr {
    SgStr::new(bytes)
}

/// A view that a plugin may read until it expires, and that is overwritten then.
#[cfg(debug_assertions)]
fn shown(frame: &Frame<'_>, map: u32, bytes: &[u8]) -> SgStr {
    frame.context.lent.lend(lender(map), bytes)
}

#[cfg(debug_assertions)]
fn lender(map: u32) -> crate::context::lent::Lender {
    use crate::context::lent::Lender;
    match map {
        abi::SG_HEADERS_REQUEST => Lender::Request,
        abi::SG_HEADERS_RESPONSE => Lender::Response,
        abi::SG_TRAILERS_REQUEST | abi::SG_TRAILERS_RESPONSE => Lender::Trailers,
        _ => Lender::Hook,
    }
}

/// Says that the views of a map end here.
fn expire(frame: &Frame<'_>, map: u32) {
    #[cfg(debug_assertions)]
    frame.context.lent.expire(lender(map));
    #[cfg(not(debug_assertions))]
    let _ = (frame, map);
}

/// The map argument of a view that is not of a header.
const NO_MAP: u32 = 0;

unsafe extern "C" fn log(host: *const SgHost, level: u32, text: SgStr) -> i32 {
    barrier(|| {
        // SAFETY: a plugin passes the pointer it was given at its entry, valid until its `unload` returns.
        let Some(caller) = (unsafe { caller(host) }) else {
            return abi::SG_E_INVALID;
        };
        match input(text) {
            Ok(text) => write_log(&caller.identity, level, text),
            Err(denied) => denied.code(),
        }
    })
}

/// Runs one host function for whoever calls, on any thread. In a preflight it is answered for it.
pub(super) fn for_caller(
    host: *const SgHost,
    work: impl FnOnce(&Caller) -> Result<(), Denied>,
) -> i32 {
    barrier(|| {
        // SAFETY: a plugin passes the pointer it was given at its entry, valid until its `unload` returns.
        let done = match unsafe { caller(host) } {
            None => Err(Denied::Invalid),
            Some(caller) if caller.preflight => Err(Denied::Unavailable),
            Some(caller) => work(caller),
        };
        done.map_or_else(Denied::code, |()| abi::SG_OK)
    })
}

/// What stands behind a host table that a plugin passed; none if it passed null.
///
/// # Safety
/// `host` must be null or a table that [`host_table`] made and that lives for `'a`.
pub(super) unsafe fn caller<'a>(host: *const SgHost) -> Option<&'a Caller> {
    // SAFETY: null or a table that lives: the caller's promise.
    let host = unsafe { host.as_ref() }?;
    let caller: *const Caller = host.private_.cast();
    // SAFETY: `host_table` put the caller there, as `Arc::as_ptr` gave it, and the table keeps that `Arc`; nobody ever has
    // it exclusively. For as long as the table lives.
    unsafe { caller.as_ref() }
}

fn write_log(identity: &ImageIdentity, level: u32, text: &[u8]) -> i32 {
    let line = String::from_utf8_lossy(text);
    let (plugin, version) = (identity.id.as_str(), identity.version.as_str());
    match level {
        abi::SG_LOG_ERROR => tracing::error!(target: "plugin", plugin, version, "{line}"),
        abi::SG_LOG_WARN => tracing::warn!(target: "plugin", plugin, version, "{line}"),
        abi::SG_LOG_INFO => tracing::info!(target: "plugin", plugin, version, "{line}"),
        abi::SG_LOG_DEBUG => tracing::debug!(target: "plugin", plugin, version, "{line}"),
        abi::SG_LOG_TRACE => tracing::trace!(target: "plugin", plugin, version, "{line}"),
        _ => {
            tracing::warn!(target: "plugin", plugin, version, level, "{line}");
            return abi::SG_E_INVALID;
        }
    }
    if matches!(line, std::borrow::Cow::Owned(_)) {
        abi::SG_E_INVALID
    } else {
        abi::SG_OK
    }
}

unsafe extern "C" fn attr_text(
    _: *const SgHost,
    exchange: ExchangeTok,
    attr: u32,
    out: *mut SgStr,
) -> i32 {
    with(exchange, |frame| {
        let attribute = Attribute::from_number(attr).ok_or(Denied::Invalid)?;
        output(out, shown(frame, NO_MAP, frame.text(attribute)?))
    })
}

unsafe extern "C" fn attr_number(
    _: *const SgHost,
    exchange: ExchangeTok,
    attr: u32,
    out: *mut u64,
) -> i32 {
    with(exchange, |frame| {
        let number = Number::from_number(attr).ok_or(Denied::Invalid)?;
        output(out, frame.number(number)?)
    })
}

unsafe extern "C" fn attr_set(
    _: *const SgHost,
    exchange: ExchangeTok,
    attr: u32,
    value: SgStr,
) -> i32 {
    with(exchange, |frame| {
        let attribute = Attribute::from_number(attr).ok_or(Denied::Invalid)?;
        frame.set_text(attribute, input(value)?)
    })
}

unsafe extern "C" fn param_get(
    _: *const SgHost,
    exchange: ExchangeTok,
    name: SgStr,
    out: *mut SgStr,
) -> i32 {
    with(exchange, |frame| {
        let name = std::str::from_utf8(input(name)?).map_err(|_| Denied::NotFound)?;
        output(out, shown(frame, NO_MAP, frame.param(name)?.as_bytes()))
    })
}

unsafe extern "C" fn param_nth(
    _: *const SgHost,
    exchange: ExchangeTok,
    index: usize,
    name: *mut SgStr,
    value: *mut SgStr,
) -> i32 {
    with(exchange, |frame| {
        let (key, text) = frame.param_at(index)?;
        output(name, shown(frame, NO_MAP, key.as_bytes()))?;
        output(value, shown(frame, NO_MAP, text.as_bytes()))
    })
}

unsafe extern "C" fn header_get(
    _: *const SgHost,
    exchange: ExchangeTok,
    map: u32,
    name: SgStr,
    out: *mut SgStr,
) -> i32 {
    with(exchange, |frame| {
        let name = header_name(input(name)?)?;
        let found = frame.headers(map)?.get(name).ok_or(Denied::NotFound)?;
        output(out, shown(frame, map, found.as_bytes()))
    })
}

unsafe extern "C" fn header_nth(
    _: *const SgHost,
    exchange: ExchangeTok,
    map: u32,
    name: SgStr,
    index: usize,
    out: *mut SgStr,
) -> i32 {
    with(exchange, |frame| {
        let name = header_name(input(name)?)?;
        let found = frame
            .headers(map)?
            .get_all(name)
            .iter()
            .nth(index)
            .ok_or(Denied::NotFound)?;
        output(out, shown(frame, map, found.as_bytes()))
    })
}

/// A name that is looked up; `http` compares without regard to case.
fn header_name(name: &[u8]) -> Result<&str, Denied> {
    std::str::from_utf8(name).map_err(|_| Denied::Invalid)
}

unsafe extern "C" fn headers_list(
    _: *const SgHost,
    exchange: ExchangeTok,
    map: u32,
    out: *mut SgHeader,
    cap: usize,
    count: *mut usize,
) -> i32 {
    with(exchange, |frame| {
        let headers = frame.headers(map)?;
        for (index, (name, value)) in headers.iter().take(cap).enumerate() {
            let line = SgHeader {
                name: shown(frame, map, name.as_str().as_bytes()),
                value: shown(frame, map, value.as_bytes()),
            };
            output(out.wrapping_add(index), line)?;
        }
        output(count, headers.len())
    })
}

unsafe extern "C" fn header_set(
    _: *const SgHost,
    exchange: ExchangeTok,
    map: u32,
    name: SgStr,
    value: SgStr,
) -> i32 {
    with(exchange, |frame| {
        let name = changeable(input(name)?, map == abi::SG_HEADERS_REQUEST)?;
        let value = header_value(input(value)?)?;
        set(frame.headers_mut(map)?, name, value)?;
        expire(frame, map);
        Ok(())
    })
}

unsafe extern "C" fn header_append(
    _: *const SgHost,
    exchange: ExchangeTok,
    map: u32,
    name: SgStr,
    value: SgStr,
) -> i32 {
    with(exchange, |frame| {
        let name = changeable(input(name)?, map == abi::SG_HEADERS_REQUEST)?;
        let value = header_value(input(value)?)?;
        append(frame.headers_mut(map)?, name, value)?;
        expire(frame, map);
        Ok(())
    })
}

unsafe extern "C" fn header_remove(
    _: *const SgHost,
    exchange: ExchangeTok,
    map: u32,
    name: SgStr,
) -> i32 {
    with(exchange, |frame| {
        let name = changeable(input(name)?, map == abi::SG_HEADERS_REQUEST)?;
        frame.headers_mut(map)?.remove(name);
        expire(frame, map);
        Ok(())
    })
}

unsafe extern "C" fn respond(
    _: *const SgHost,
    exchange: ExchangeTok,
    status: u32,
    headers: *const SgHeader,
    header_count: usize,
    body: SgStr,
) -> i32 {
    with(exchange, |frame| {
        // SAFETY: readable until this function returns: the contract's rule for arguments.
        let lines = unsafe { view::lines(headers, header_count) }.ok_or(Denied::Invalid)?;
        let mut pairs: smallvec::SmallVec<[(&[u8], &[u8]); 8]> = smallvec::SmallVec::new();
        for line in lines {
            pairs.push((input(line.name)?, input(line.value)?));
        }
        frame.respond(status, pairs.into_iter(), input(body)?)
    })
}

unsafe extern "C" fn var_get(
    _: *const SgHost,
    exchange: ExchangeTok,
    name: SgStr,
    out: *mut SgStr,
) -> i32 {
    with(exchange, |frame| {
        let found = frame
            .context
            .vars
            .get(input(name)?)
            .ok_or(Denied::NotFound)?;
        output(out, shown(frame, NO_MAP, found))
    })
}

unsafe extern "C" fn var_set(
    _: *const SgHost,
    exchange: ExchangeTok,
    name: SgStr,
    value: SgStr,
) -> i32 {
    with(exchange, |frame| {
        frame.context.vars.set(input(name)?, input(value)?)
    })
}

unsafe extern "C" fn state_get(
    _: *const SgHost,
    exchange: ExchangeTok,
    out: *mut *mut c_void,
) -> i32 {
    with(exchange, |frame| {
        output(
            out,
            frame
                .state()
                .map_or(std::ptr::null_mut(), |state| state.pointer),
        )
    })
}

unsafe extern "C" fn state_set(
    _: *const SgHost,
    exchange: ExchangeTok,
    state: *mut c_void,
    release: Option<ReleaseFn>,
) -> i32 {
    with(exchange, |frame| {
        let owner = frame.owner;
        frame.set_state(State {
            owner,
            pointer: state,
            release,
        });
        Ok(())
    })
}

unsafe extern "C" fn consumer_get(_: *const SgHost, exchange: ExchangeTok, out: *mut SgStr) -> i32 {
    with(exchange, |frame| {
        let consumer = frame.context.consumer.as_deref().ok_or(Denied::NotFound)?;
        output(out, shown(frame, NO_MAP, consumer.as_bytes()))
    })
}

unsafe extern "C" fn consumer_set(_: *const SgHost, exchange: ExchangeTok, consumer: SgStr) -> i32 {
    with(exchange, |frame| frame.set_consumer(input(consumer)?))
}

unsafe extern "C" fn set_error(_: *const SgHost, exchange: ExchangeTok, text: SgStr) -> i32 {
    with(exchange, |frame| {
        frame.set_error(input(text)?);
        Ok(())
    })
}
