//! The functions of the gateway about the window of a body.

use std::ffi::c_void;

use swapgate_abi::{ReleaseFn, SgStr};

use super::Raw;
use crate::status::HostError;
use crate::view::Pieces;

impl Raw<'_> {
    /// How many bytes the window has.
    ///
    /// # Errors
    ///
    /// As `body_len` in the header.
    pub fn body_len(&self) -> Result<u64, HostError> {
        let mut len = 0;
        // SAFETY: the table is complete (new()), and `len` is a local of the right type.
        let code = unsafe { (self.table().body_len)(self.host, self.token, &raw mut len) };
        HostError::check(code).map(|()| len)
    }

    /// The pieces of the window.
    ///
    /// # Errors
    ///
    /// As `body_pieces` in the header.
    pub fn body_pieces(&self) -> Result<Pieces<'_>, HostError> {
        let mut entries = vec![SgStr::EMPTY; 8];
        loop {
            let mut count = 0;
            let (out, cap) = (entries.as_mut_ptr(), entries.len());
            let pieces = self.table().body_pieces;
            // SAFETY: the table is complete (new()); `out` has room for `cap` entries, `count` is a local.
            let code = unsafe { pieces(self.host, self.token, out, cap, &raw mut count) };
            HostError::check(code)?;
            let complete = count <= cap;
            entries.resize(count, SgStr::EMPTY);
            if complete {
                // SAFETY: the gateway filled in `count` entries; they stay until a change of the window, which takes
                // `&mut self`, or the hook returns, which ends self.
                return Ok(unsafe { Pieces::from_raw(entries) });
            }
        }
    }

    /// Takes bytes off the front of the window.
    ///
    /// # Errors
    ///
    /// As `body_drain` in the header.
    pub fn body_drain(&mut self, bytes: u64) -> Result<(), HostError> {
        // SAFETY: the table is complete (new()).
        HostError::check(unsafe { (self.table().body_drain)(self.host, self.token, bytes) })
    }

    /// Puts bytes in the place of the whole window.
    ///
    /// # Errors
    ///
    /// As `body_replace` in the header.
    pub fn body_replace(&mut self, bytes: &[u8]) -> Result<(), HostError> {
        let bytes = SgStr::new(bytes);
        // SAFETY: the table is complete (new()); `bytes` is read during the call only.
        HostError::check(unsafe { (self.table().body_replace)(self.host, self.token, bytes) })
    }

    /// Adds bytes to the end of the window.
    ///
    /// # Errors
    ///
    /// As `body_append` in the header.
    pub fn body_append(&mut self, bytes: &[u8]) -> Result<(), HostError> {
        let bytes = SgStr::new(bytes);
        // SAFETY: the table is complete (new()); `bytes` is read during the call only.
        HostError::check(unsafe { (self.table().body_append)(self.host, self.token, bytes) })
    }

    /// Adds bytes of the plugin without copying.
    ///
    /// # Safety
    ///
    /// `bytes` stay as they are until `release` was called with `context`, which may happen once, on any thread.
    pub(crate) unsafe fn body_append_own(
        &mut self,
        bytes: SgStr,
        release: ReleaseFn,
        context: *mut c_void,
    ) -> Result<(), HostError> {
        let append = self.table().body_append_own;
        // SAFETY: the table is complete (new()); the caller vouches for the rest.
        let code = unsafe { append(self.host, self.token, bytes, Some(release), context) };
        HostError::check(code)
    }

    /// Holds the last bytes of the window back.
    ///
    /// # Errors
    ///
    /// As `body_hold` in the header.
    pub fn body_hold(&mut self, bytes: u64) -> Result<(), HostError> {
        // SAFETY: the table is complete (new()).
        HostError::check(unsafe { (self.table().body_hold)(self.host, self.token, bytes) })
    }

    /// Wants nothing of a body in this exchange.
    ///
    /// # Errors
    ///
    /// As `body_ignore` in the header.
    pub fn body_ignore(&mut self, lane: u32) -> Result<(), HostError> {
        // SAFETY: the table is complete (new()).
        HostError::check(unsafe { (self.table().body_ignore)(self.host, self.token, lane) })
    }
}
