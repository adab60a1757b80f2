//! Calls by which one instance hands its state over to another, and the question how much memory an image uses. Unsafe:
//! every function here crosses into foreign code.

use swapgate_abi::{
    SG_E_FAILED, SG_E_INVALID, SG_E_NOT_FOUND, SG_E_TOO_LARGE, SG_OK, SgMemory, SgStateOut, SgStr,
};

use super::control::{CallError, ErrorRoom, RawInstance, Table};
use super::view::size_u32;

/// What an instance wrote down for the one that takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The version of the plugin's own format.
    pub version: u32,
    /// The state.
    pub bytes: Vec<u8>,
}

/// Why there is no state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportError {
    /// It is larger than the configuration admits.
    TooLarge,
    /// The call did not do what it should.
    Call(CallError),
}

impl Table {
    /// Whether instances of this plugin can hand a state over.
    #[must_use]
    pub fn exports_state(&self) -> bool {
        self.export_state.is_some()
    }

    /// Whether they can take one over.
    #[must_use]
    pub fn imports_state(&self) -> bool {
        self.import_state.is_some()
    }

    /// Asks an instance for its state, of at most `limit` bytes; none if it has nothing to hand over.
    ///
    /// # Errors
    /// The state is too large, or what the plugin answered.
    pub fn export_state(
        &self,
        instance: RawInstance,
        limit: usize,
    ) -> Result<Option<State>, ExportError> {
        let Some(export_state) = self.export_state else {
            return Ok(None);
        };
        let mut written = Written {
            bytes: Vec::new(),
            limit,
            outcome: SG_OK,
        };
        let mut out = SgStateOut {
            struct_size: size_u32::<SgStateOut>(),
            version: 0,
            private_: (&raw mut written).cast(),
            write,
        };
        // SAFETY: the library is mapped and the instance was not destroyed, since whoever asks holds both; `out` and what
        // it leads to live across the call, and nobody else touches them.
        let code = unsafe { export_state(instance.pointer(), &raw mut out) };
        // A plugin that overlooks that a write failed has not written its state.
        match (code, written.outcome) {
            (SG_OK, SG_OK) => Ok(Some(State {
                version: out.version,
                bytes: written.bytes,
            })),
            (SG_E_NOT_FOUND, _) => Ok(None),
            (SG_OK | SG_E_TOO_LARGE | SG_E_FAILED, SG_E_TOO_LARGE) => Err(ExportError::TooLarge),
            (SG_OK, failed) => Err(called(failed)),
            (code, _) => Err(called(code)),
        }
    }

    /// Gives an instance that was not started the state of another one.
    ///
    /// # Errors
    /// What the plugin answered.
    pub fn import_state(&self, instance: RawInstance, state: &State) -> Result<(), CallError> {
        let Some(import_state) = self.import_state else {
            return Err(CallError::Failed("it has no import_state".to_owned()));
        };
        let mut room = ErrorRoom::new();
        let mut buf = room.buf();
        let bytes = SgStr::new(&state.bytes);
        // SAFETY: the library is mapped; the instance came from `configure` of this table, was neither started nor
        // destroyed, and no other call into it is running; the state and the error room live across the call.
        let code = unsafe { import_state(instance.pointer(), state.version, bytes, &raw mut buf) };
        room.take(buf);
        room.judge(code)
    }

    /// Whether the image counts its memory.
    #[must_use]
    pub fn counts_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// How much memory the image uses as it counts itself; none if it does not count.
    #[must_use]
    pub fn memory(&self) -> Option<Memory> {
        let memory = self.memory?;
        let mut out = SgMemory {
            struct_size: size_u32::<SgMemory>(),
            reserved: 0,
            bytes: 0,
            peak_bytes: 0,
            allocations: 0,
        };
        // SAFETY: the library is mapped and loaded, which whoever holds this table sees to; `out` lives across the call.
        let code = unsafe { memory(&raw mut out) };
        (code == SG_OK).then_some(Memory {
            bytes: out.bytes,
            peak_bytes: out.peak_bytes,
            allocations: out.allocations,
        })
    }
}

/// How much memory an image uses, as it counts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Memory {
    /// Allocated and not freed.
    pub bytes: u64,
    /// The most that ever was.
    pub peak_bytes: u64,
    /// How many allocations there were, ever.
    pub allocations: u64,
}

fn called(code: i32) -> ExportError {
    match ErrorRoom::new().judge(code) {
        Err(error) => ExportError::Call(error),
        Ok(()) => ExportError::Call(CallError::Unknown(code)),
    }
}

/// What was written so far.
struct Written {
    bytes: Vec<u8>,
    limit: usize,
    /// The first thing that went wrong.
    outcome: i32,
}

impl Written {
    fn append(&mut self, bytes: SgStr) -> i32 {
        if self.outcome != SG_OK {
            return self.outcome;
        }
        self.outcome = self.try_append(bytes).err().unwrap_or(SG_OK);
        if self.outcome != SG_OK {
            self.bytes = Vec::new();
        }
        self.outcome
    }

    fn try_append(&mut self, bytes: SgStr) -> Result<(), i32> {
        if bytes.len == 0 {
            return Ok(());
        }
        if bytes.ptr.is_null() {
            return Err(SG_E_INVALID);
        }
        if bytes.len > self.limit.saturating_sub(self.bytes.len()) {
            return Err(SG_E_TOO_LARGE);
        }
        if self.bytes.try_reserve(bytes.len).is_err() {
            return Err(SG_E_TOO_LARGE);
        }
        // SAFETY: the pointer must lead to `len` readable bytes. It is not null, the length is below the limit, and the
        // contract says that what goes in is readable during the call; it is copied at once.
        let bytes = unsafe { std::slice::from_raw_parts(bytes.ptr, bytes.len) };
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

/// `write` of a state.
unsafe extern "C" fn write(out: *mut SgStateOut, bytes: SgStr) -> i32 {
    if out.is_null() {
        return SG_E_INVALID;
    }
    // SAFETY: the plugin passes what `export_state` was given, as the contract asks; that lives until the hook returns.
    let written = unsafe { (*out).private_ }.cast::<Written>();
    // SAFETY: `Table::export_state` put a `Written` there that outlives the hook, and does not touch it meanwhile.
    match unsafe { written.as_mut() } {
        Some(written) => written.append(bytes),
        None => SG_E_INVALID,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_grows_up_to_its_limit_and_then_no_more() {
        let mut written = Written {
            bytes: Vec::new(),
            limit: 6,
            outcome: SG_OK,
        };
        assert_eq!(written.append(SgStr::new(b"abc")), SG_OK);
        assert_eq!(written.append(SgStr::new(b"")), SG_OK);
        assert_eq!(written.append(SgStr::new(b"def")), SG_OK);
        assert_eq!(written.bytes, b"abcdef");
        assert_eq!(written.append(SgStr::new(b"g")), SG_E_TOO_LARGE);
        assert_eq!(
            written.append(SgStr::new(b"")),
            SG_E_TOO_LARGE,
            "and it stays so"
        );
        assert!(written.bytes.is_empty());
    }

    #[test]
    fn null_with_a_length_is_invalid() {
        let mut written = Written {
            bytes: Vec::new(),
            limit: 6,
            outcome: SG_OK,
        };
        let null = SgStr {
            ptr: std::ptr::null(),
            len: 1,
        };
        assert_eq!(written.append(null), SG_E_INVALID);
    }
}
