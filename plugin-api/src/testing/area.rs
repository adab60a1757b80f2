//! The larger areas of the gateway in memory.

use std::ffi::c_void;
use std::ptr;
use std::time::Duration;

use swapgate_abi::{
    OpTok, ReleaseFn, ScopeTok, SgBlocking, SgBuf, SgHeader, SgHost, SgHttpCallout, SgHttpRequest,
    SgKv, SgResolve, SgStr, WorkFn, code,
};

use super::shared::State;
use super::table::{bytes, give, text};
use super::waiting::with_state;
use super::world::{Callout, Doing, Job};
use crate::guest::export::size_of_u32;
use crate::header::{check_request_name, check_value};
use crate::status::HostError;

/// How long a callout may take unless it says.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The structures a plugin asks for by name.
#[derive(Debug)]
pub(super) struct Areas {
    http: SgHttpCallout,
    resolve: SgResolve,
    blocking: SgBlocking,
    kv: SgKv,
}

impl Default for Areas {
    fn default() -> Self {
        Self {
            http: SgHttpCallout {
                struct_size: size_of_u32::<SgHttpCallout>(),
                reserved: 0,
                start: http,
            },
            resolve: SgResolve {
                struct_size: size_of_u32::<SgResolve>(),
                reserved: 0,
                start: resolve,
            },
            blocking: SgBlocking {
                struct_size: size_of_u32::<SgBlocking>(),
                reserved: 0,
                start: blocking,
            },
            kv: SgKv {
                struct_size: size_of_u32::<SgKv>(),
                reserved: 0,
                get: kv_get,
                set: kv_set,
                add: kv_add,
                compare_and_set: kv_compare_and_set,
                remove: kv_remove,
            },
        }
    }
}

impl Areas {
    pub(super) fn find(&self, id: &str) -> *const c_void {
        match id {
            code::SG_HTTP_CALLOUT_ID => ptr::from_ref(&self.http).cast(),
            code::SG_RESOLVE_ID => ptr::from_ref(&self.resolve).cast(),
            code::SG_BLOCKING_ID => ptr::from_ref(&self.blocking).cast(),
            code::SG_KV_ID => ptr::from_ref(&self.kv).cast(),
            _ => ptr::null(),
        }
    }
}

/// Lets go of work that is over or was never done. Called without the lock, for it runs code of the plugin.
pub(super) fn release(job: Job) {
    if let Some(release) = job.release {
        // SAFETY: the plugin left the two together, and a job is taken out of the world once.
        unsafe { release(job.context) };
    }
}

/// Does work of the plugin on this thread.
pub(super) fn run(job: Job) -> i32 {
    // SAFETY: the plugin left the two together; a job is run once, before it is released.
    unsafe { (job.work)(job.context) }
}

/// Reads what a callout is to send.
///
/// # Safety
///
/// All of `request` is readable during the call.
unsafe fn callout(request: &SgHttpRequest) -> Result<Callout, HostError> {
    // SAFETY: the caller vouches for it.
    let service = unsafe { text(request.service) }?.to_owned();
    // SAFETY: as above.
    let url = unsafe { text(request.url) }?.to_owned();
    // SAFETY: as above.
    let method = unsafe { text(request.method) }?;
    // SAFETY: as above.
    let body = unsafe { bytes(request.body) }?.to_vec();
    let absolute = url.starts_with("http://");
    if service.is_empty() != absolute || !absolute && !url.starts_with('/') {
        return Err(HostError::Invalid);
    }
    let mut headers = Vec::new();
    for index in 0..request.header_count {
        // SAFETY: there are `header_count` entries.
        let entry = unsafe { request.headers.add(index) };
        // SAFETY: as above.
        let SgHeader { name, value } = unsafe { entry.read() };
        // SAFETY: as above.
        let name = unsafe { text(name) }?;
        // SAFETY: as above.
        let value = unsafe { bytes(value) }?;
        check_request_name(name)?;
        check_value(value)?;
        headers.push((name.to_owned(), value.to_vec()));
    }
    let method = if method.is_empty() { "GET" } else { method }.to_owned();
    let id = 0;
    Ok(Callout {
        id,
        service,
        url,
        method,
        headers,
        body,
    })
}

unsafe extern "C" fn http(
    host: *const SgHost,
    scope: ScopeTok,
    request: *const SgHttpRequest,
    out: *mut OpTok,
) -> i32 {
    let run = |state: &mut State| {
        let scope = state.scope(scope)?;
        // SAFETY: plugins pass a whole structure, readable during the call.
        let request = unsafe { request.as_ref() }.ok_or(HostError::Invalid)?;
        // SAFETY: as above.
        let callout = unsafe { callout(request) }?;
        let timeout = match request.timeout_ms {
            0 => TIMEOUT,
            ms => Duration::from_millis(u64::from(ms)),
        };
        let until = state.world.now() + timeout;
        let op = state.world.start(scope, Doing::Http { until, callout })?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, op) }
    };
    // SAFETY: plugins pass the table they were given.
    unsafe { with_state(host, run) }
}

unsafe extern "C" fn resolve(
    host: *const SgHost,
    scope: ScopeTok,
    name: SgStr,
    out: *mut OpTok,
) -> i32 {
    let run = |state: &mut State| {
        let scope = state.scope(scope)?;
        // SAFETY: what goes in is readable during the call.
        let name = unsafe { text(name) }?.to_owned();
        let op = state.world.start(scope, Doing::Resolve { name })?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, op) }
    };
    // SAFETY: plugins pass the table they were given.
    unsafe { with_state(host, run) }
}

unsafe extern "C" fn blocking(
    host: *const SgHost,
    scope: ScopeTok,
    work: Option<WorkFn>,
    release: Option<ReleaseFn>,
    context: *mut c_void,
    out: *mut OpTok,
) -> i32 {
    let run = |state: &mut State| {
        let scope = state.scope(scope)?;
        let work = work.ok_or(HostError::Invalid)?;
        let job = Job {
            work,
            release,
            context,
        };
        let op = state.world.start(scope, Doing::Blocking(job))?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, op) }
    };
    // SAFETY: plugins pass the table they were given.
    unsafe { with_state(host, run) }
}

unsafe extern "C" fn kv_get(
    host: *const SgHost,
    key: SgStr,
    out: *mut SgBuf,
    revision: *mut u64,
) -> i32 {
    let run = |state: &mut State| {
        // SAFETY: what goes in is readable during the call.
        let key = unsafe { bytes(key) }?;
        let (value, found) = state.world.get(key)?;
        // SAFETY: plugins pass room for the answer.
        let out = unsafe { out.as_mut() }.ok_or(HostError::Invalid)?;
        let len = value.len().min(out.cap);
        if !out.ptr.is_null() {
            // SAFETY: there is room for `cap` bytes, and `len` is no more than that.
            unsafe { ptr::copy_nonoverlapping(value.as_ptr(), out.ptr, len) };
        }
        out.len = value.len();
        if !revision.is_null() {
            // SAFETY: not null, so there is room for it.
            unsafe { revision.write(found) };
        }
        Ok(())
    };
    // SAFETY: plugins pass the table they were given.
    unsafe { with_state(host, run) }
}

unsafe extern "C" fn kv_set(host: *const SgHost, key: SgStr, value: SgStr, ttl_ms: u64) -> i32 {
    let run = |state: &mut State| {
        // SAFETY: what goes in is readable during the call.
        let key = unsafe { bytes(key) }?;
        // SAFETY: as above.
        let value = unsafe { bytes(value) }?;
        state.world.set(key, value, ttl_ms)
    };
    // SAFETY: plugins pass the table they were given.
    unsafe { with_state(host, run) }
}

unsafe extern "C" fn kv_add(
    host: *const SgHost,
    key: SgStr,
    delta: i64,
    ttl_ms: u64,
    out: *mut i64,
) -> i32 {
    let run = |state: &mut State| {
        // SAFETY: what goes in is readable during the call.
        let key = unsafe { bytes(key) }?;
        let sum = state.world.add(key, delta, ttl_ms)?;
        if !out.is_null() {
            // SAFETY: not null, so there is room for it.
            unsafe { out.write(sum) };
        }
        Ok(())
    };
    // SAFETY: plugins pass the table they were given.
    unsafe { with_state(host, run) }
}

unsafe extern "C" fn kv_compare_and_set(
    host: *const SgHost,
    key: SgStr,
    revision: u64,
    value: SgStr,
    ttl_ms: u64,
) -> i32 {
    let run = |state: &mut State| {
        // SAFETY: what goes in is readable during the call.
        let key = unsafe { bytes(key) }?;
        // SAFETY: as above.
        let value = unsafe { bytes(value) }?;
        state.world.compare_and_set(key, revision, value, ttl_ms)
    };
    // SAFETY: plugins pass the table they were given.
    unsafe { with_state(host, run) }
}

unsafe extern "C" fn kv_remove(host: *const SgHost, key: SgStr) -> i32 {
    let run = |state: &mut State| {
        // SAFETY: what goes in is readable during the call.
        let key = unsafe { bytes(key) }?;
        state.world.remove(key)
    };
    // SAFETY: plugins pass the table they were given.
    unsafe { with_state(host, run) }
}
