//! The gateway's key-value area: values for all workers, which survive reloads and swaps.
//!
//! Keys belong to the plugin's id: every version and every instance of it sees the same ones, and no other plugin does. The
//! area is memory, bounded by the configuration; what was not used for longest goes first. Nothing here waits.
//!
//! ```
//! use std::time::Duration;
//!
//! use swapgate_plugin::kv::Kv;
//! use swapgate_plugin::{AccessCall, Error, Flow, Response};
//!
//! # struct Limit { kv: Kv }
//! # impl Limit {
//! fn access(&self, request: &mut AccessCall<'_>) -> Result<Flow, Error> {
//!     let minute = Duration::from_secs(60);
//!     if self.kv.add(request.client_address(), 1, Some(minute))? > 100 {
//!         return Ok(request.respond(&Response::new(429))?);
//!     }
//!     Ok(Flow::Continue)
//! }
//! # }
//! ```

use std::time::Duration;

use crate::guest::call::{Gateway, area};
use crate::status::HostError;

/// The area of this plugin. A handle that is copied freely; any thread may use it.
#[derive(Debug, Clone, Copy)]
pub struct Kv(area::Kv);

/// A value and its revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Vec<u8>,
    /// Changes whenever the value does. Never 0.
    pub revision: u64,
}

impl Kv {
    /// Opens the area, in `configure`, in `start` or later.
    ///
    /// # Errors
    ///
    /// [`HostError::Unavailable`]: there is no gateway, or it has no such area.
    pub fn open() -> Result<Self, HostError> {
        let gateway = Gateway::here().ok_or(HostError::Unavailable)?;
        gateway.kv().map(Self)
    }

    /// A value, if there is one. A number is 8 bytes in the byte order of the machine; see [`number`](Self::number).
    ///
    /// # Errors
    ///
    /// [`HostError::TooLarge`]: a key of more than 512 bytes. [`HostError::Unavailable`]: in a preflight.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Entry>, HostError> {
        match self.0.get(key.as_ref()) {
            Ok((value, revision)) => Ok(Some(Entry { value, revision })),
            Err(HostError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The number [`add`](Self::add) left.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get). [`HostError::Invalid`]: the value is no number.
    pub fn number(&self, key: impl AsRef<[u8]>) -> Result<Option<i64>, HostError> {
        let Some(entry) = self.get(key)? else {
            return Ok(None);
        };
        let bytes = entry.value.as_slice().try_into();
        let bytes = bytes.map_err(|_| HostError::Invalid)?;
        Ok(Some(i64::from_ne_bytes(bytes)))
    }

    /// Sets a value, for so long or until it has to make room.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get). [`HostError::TooLarge`]: also a value of more than 1 MiB.
    pub fn set(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        ttl: Option<Duration>,
    ) -> Result<(), HostError> {
        self.0.set(key.as_ref(), value.as_ref(), millis(ttl))
    }

    /// Adds to a number, which is 0 where there is none, and answers the sum. The time counts only where the key is new.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get). [`HostError::Invalid`]: the value is no number.
    pub fn add(
        &self,
        key: impl AsRef<[u8]>,
        delta: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, HostError> {
        self.0.add(key.as_ref(), delta, millis(ttl))
    }

    /// Sets a value if its revision is still this one; none: if there is no value.
    ///
    /// # Errors
    ///
    /// [`HostError::Conflict`]: somebody else was first. As [`set`](Self::set).
    pub fn compare_and_set(
        &self,
        key: impl AsRef<[u8]>,
        revision: Option<u64>,
        value: impl AsRef<[u8]>,
        ttl: Option<Duration>,
    ) -> Result<(), HostError> {
        let (revision, ttl) = (revision.unwrap_or(0), millis(ttl));
        self.0
            .compare_and_set(key.as_ref(), revision, value.as_ref(), ttl)
    }

    /// Removes a value; there need not be one.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn remove(&self, key: impl AsRef<[u8]>) -> Result<(), HostError> {
        self.0.remove(key.as_ref())
    }
}

/// Zero crosses the line as "for ever", so what is shorter than a millisecond is one.
fn millis(ttl: Option<Duration>) -> u64 {
    let ms = |ttl: Duration| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
    ttl.map_or(0, ms)
}
