//! Room for the error texts of plugins.

use swapgate_abi::SgErrorBuf;

use crate::status::HostError;

/// How long a text may be.
const ERROR_ROOM: usize = 4096;

/// Memory for an error text.
pub(super) struct Room(Vec<u8>);

impl Room {
    pub(super) fn new() -> Self {
        Self(vec![0; ERROR_ROOM])
    }

    pub(super) fn buffer(&mut self) -> SgErrorBuf {
        SgErrorBuf {
            ptr: self.0.as_mut_ptr(),
            cap: self.0.len(),
            len: 0,
        }
    }

    pub(super) fn check(&self, code: i32, error: &SgErrorBuf) -> Result<(), String> {
        HostError::check(code).map_err(|status| {
            let text = self.0.get(..error.len).unwrap_or_default();
            if text.is_empty() {
                status.to_string()
            } else {
                String::from_utf8_lossy(text).into_owned()
            }
        })
    }
}
