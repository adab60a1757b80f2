//! The larger areas of the gateway, which are asked for by name: callouts, names, blocking work, the key-value area.

use std::ffi::c_void;
use std::ptr;

use swapgate_abi::{
    OpTok, ReleaseFn, ScopeTok, SgBlocking, SgBuf, SgEvent, SgHeader, SgHttpAnswer, SgHttpCallout,
    SgHttpRequest, SgKv, SgResolve, SgResolved, SgStr, WorkFn, code,
};

use super::Gateway;
use crate::guest::export::size_of_u32;
use crate::ops::http::{Answer, Request};
use crate::status::HostError;
use crate::view;

/// How large a value of the key-value area is expected to be; larger ones cost a second call.
const VALUE_ROOM: usize = 256;

impl Gateway {
    /// # Safety
    ///
    /// `T` is the structure of that area, and begins with its size.
    unsafe fn area<T>(&self, id: &str) -> Result<&T, HostError> {
        let id = SgStr::new(id.as_bytes());
        // SAFETY: the table is complete (new()); `id` is read during the call only.
        let found = unsafe { (self.table().extension)(self.host(), id) };
        if found.is_null() {
            return Err(HostError::Unavailable);
        }
        // SAFETY: every area begins with its size and stays as long as the table.
        let size = unsafe { found.cast::<u32>().read() };
        if size < size_of_u32::<T>() {
            return Err(HostError::Unavailable);
        }
        // SAFETY: the caller vouches for the type, and it is there as a whole.
        Ok(unsafe { &*found.cast::<T>() })
    }

    pub(crate) fn http(self, scope: ScopeTok, request: &Request) -> Result<OpTok, HostError> {
        // SAFETY: the type is that of the area.
        let area = unsafe { self.area::<SgHttpCallout>(code::SG_HTTP_CALLOUT_ID) }?;
        let headers: Vec<SgHeader> = request
            .headers
            .iter()
            .map(|(name, value)| SgHeader {
                name: SgStr::new(name.as_bytes()),
                value: SgStr::new(value),
            })
            .collect();
        // Rounded up: zero is the gateway's own limit, which a short time must not become.
        let timeout_ms = request.timeout.as_nanos().div_ceil(1_000_000);
        let timeout_ms = u32::try_from(timeout_ms).unwrap_or(u32::MAX);
        let sent = SgHttpRequest {
            struct_size: size_of_u32::<SgHttpRequest>(),
            timeout_ms,
            service: SgStr::new(request.service.as_bytes()),
            url: SgStr::new(request.url.as_bytes()),
            method: SgStr::new(request.method.as_bytes()),
            headers: headers.as_ptr(),
            header_count: headers.len(),
            body: SgStr::new(&request.body),
            max_body: request.max_body,
        };
        let mut op = 0;
        // SAFETY: the area is complete; all of `sent` is readable during the call, and `op` is a local.
        HostError::check(unsafe {
            (area.start)(self.host(), scope, &raw const sent, &raw mut op)
        })?;
        Ok(op)
    }

    pub(crate) fn resolve(self, scope: ScopeTok, name: &str) -> Result<OpTok, HostError> {
        // SAFETY: the type is that of the area.
        let area = unsafe { self.area::<SgResolve>(code::SG_RESOLVE_ID) }?;
        let (name, mut op) = (SgStr::new(name.as_bytes()), 0);
        // SAFETY: the area is complete; `name` is read during the call only, `op` is a local.
        HostError::check(unsafe { (area.start)(self.host(), scope, name, &raw mut op) })?;
        Ok(op)
    }

    /// # Safety
    ///
    /// `work` may be called with `context` on another thread, and then, or instead, `release`, once.
    pub(crate) unsafe fn blocking(
        self,
        scope: ScopeTok,
        work: WorkFn,
        release: ReleaseFn,
        context: *mut c_void,
    ) -> Result<OpTok, HostError> {
        // SAFETY: the type is that of the area.
        let area = unsafe { self.area::<SgBlocking>(code::SG_BLOCKING_ID) }?;
        let (mut op, start) = (0, area.start);
        let (work, release) = (Some(work), Some(release));
        // SAFETY: the area is complete, `op` is a local; the caller vouches for the rest.
        HostError::check(unsafe {
            start(self.host(), scope, work, release, context, &raw mut op)
        })?;
        Ok(op)
    }

    pub(crate) fn kv(self) -> Result<Kv, HostError> {
        // SAFETY: the type is that of the area.
        let area = unsafe { self.area::<SgKv>(code::SG_KV_ID) }?;
        Ok(Kv {
            gateway: self,
            area: ptr::from_ref(area),
        })
    }
}

/// The functions of the key-value area.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kv {
    gateway: Gateway,
    area: *const SgKv,
}

// SAFETY: any thread may call these functions, and the area stays as long as the table (see Gateway).
unsafe impl Send for Kv {}
// SAFETY: as above; several threads may call at once.
unsafe impl Sync for Kv {}

impl Kv {
    fn area(&self) -> &SgKv {
        // SAFETY: kv() got a complete area, which stays as long as the table.
        unsafe { &*self.area }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<(Vec<u8>, u64), HostError> {
        let mut value = vec![0; VALUE_ROOM];
        loop {
            let mut room = SgBuf {
                ptr: value.as_mut_ptr(),
                cap: value.len(),
                len: 0,
            };
            let (mut revision, get) = (0, self.area().get);
            let (host, key, out) = (self.gateway.host(), SgStr::new(key), &raw mut room);
            // SAFETY: the area is complete; `key` is read during the call, the rest are locals with the room they say.
            HostError::check(unsafe { get(host, key, out, &raw mut revision) })?;
            let complete = room.len <= value.len();
            value.resize(room.len, 0);
            if complete {
                return Ok((value, revision));
            }
        }
    }

    pub(crate) fn set(&self, key: &[u8], value: &[u8], ttl_ms: u64) -> Result<(), HostError> {
        let (host, set) = (self.gateway.host(), self.area().set);
        // SAFETY: the area is complete; key and value are read during the call only.
        HostError::check(unsafe { set(host, SgStr::new(key), SgStr::new(value), ttl_ms) })
    }

    pub(crate) fn add(&self, key: &[u8], delta: i64, ttl_ms: u64) -> Result<i64, HostError> {
        let (mut sum, host, add) = (0, self.gateway.host(), self.area().add);
        let key = SgStr::new(key);
        // SAFETY: the area is complete; `key` is read during the call only, `sum` is a local.
        HostError::check(unsafe { add(host, key, delta, ttl_ms, &raw mut sum) })?;
        Ok(sum)
    }

    pub(crate) fn compare_and_set(
        &self,
        key: &[u8],
        revision: u64,
        value: &[u8],
        ttl_ms: u64,
    ) -> Result<(), HostError> {
        let (host, compare) = (self.gateway.host(), self.area().compare_and_set);
        let (key, value) = (SgStr::new(key), SgStr::new(value));
        // SAFETY: the area is complete; key and value are read during the call only.
        HostError::check(unsafe { compare(host, key, revision, value, ttl_ms) })
    }

    pub(crate) fn remove(&self, key: &[u8]) -> Result<(), HostError> {
        let (host, remove) = (self.gateway.host(), self.area().remove);
        // SAFETY: the area is complete; `key` is read during the call only.
        HostError::check(unsafe { remove(host, SgStr::new(key)) })
    }
}

/// Reads what an event brought for a callout.
///
/// # Safety
///
/// `event` is that of a callout which came to its end, and readable for this call.
pub(crate) unsafe fn answer_of(event: &SgEvent) -> Result<Answer, HostError> {
    let data = event.data.cast::<SgHttpAnswer>();
    // SAFETY: by the contract `data` is null or such an answer, until the hook returns.
    let Some(answer) = (unsafe { data.as_ref() }) else {
        return Err(HostError::Failed);
    };
    let mut headers = Vec::with_capacity(answer.header_count);
    for index in 0..answer.header_count {
        // SAFETY: there are `header_count` entries.
        let entry = unsafe { answer.headers.add(index) };
        // SAFETY: as above.
        let SgHeader { name, value } = unsafe { entry.read() };
        // SAFETY: the texts of an answer are readable as long as the answer is.
        let name = unsafe { view::bytes(name) };
        // SAFETY: as above.
        let value = unsafe { view::bytes(value) };
        headers.push((String::from_utf8_lossy(name).into_owned(), value.to_vec()));
    }
    // SAFETY: as above.
    let body = unsafe { view::bytes(answer.body) }.to_vec();
    let status = u16::try_from(answer.status).unwrap_or(0);
    Ok(Answer::new(status, headers, body))
}

/// Reads what an event brought for a name.
///
/// # Safety
///
/// `event` is that of a look-up which came to its end, and readable for this call.
pub(crate) unsafe fn addresses_of(event: &SgEvent) -> Result<Vec<std::net::IpAddr>, HostError> {
    let data = event.data.cast::<SgResolved>();
    // SAFETY: by the contract `data` is null or such a list, until the hook returns.
    let Some(found) = (unsafe { data.as_ref() }) else {
        return Err(HostError::Failed);
    };
    let mut addresses = Vec::with_capacity(found.count);
    for index in 0..found.count {
        // SAFETY: there are `count` entries.
        let entry = unsafe { found.addresses.add(index) };
        // SAFETY: as above.
        let text = unsafe { entry.read() };
        // SAFETY: the texts are readable as long as the list is.
        let text = unsafe { view::bytes(text) };
        let address = std::str::from_utf8(text).ok();
        addresses.extend(address.and_then(|text| text.parse::<std::net::IpAddr>().ok()));
    }
    Ok(addresses)
}
