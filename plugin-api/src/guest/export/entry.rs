//! The door: negotiation, and the table of hooks.

use std::sync::atomic::{AtomicBool, Ordering};

use abi_stable::prefix_type::PrefixTypeTrait;
use log::LevelFilter;
use swapgate_abi::{DOOR_REV, EntryFn, PluginRoot, PluginRootRef, SgEntryArgs, SgEntryOut, code};

use super::Exported;
use super::control::write_error;
use super::definition::Definition;
use super::descriptor::size_of_u32;
use crate::guest::call::{self, Running};
use crate::guest::forward;
use crate::version::{self, Range};

/// The root module of the second door.
#[must_use]
pub fn root(entry: EntryFn) -> PluginRootRef {
    // SAFETY: a function pointer may become one of another type; whoever calls it turns it back (swapgate-abi, root).
    let entry = unsafe { std::mem::transmute::<EntryFn, extern "C" fn()>(entry) };
    let door_rev = DOOR_REV;
    PluginRoot { door_rev, entry }.leak_into_prefix()
}

/// Set by [`testing`](crate::testing): the plugin is linked in, and several hosts live in one process, so none of them is
/// published for threads without a running hook.
static LINKED_IN: AtomicBool = AtomicBool::new(false);

pub(crate) fn linked_in() {
    LINKED_IN.store(true, Ordering::Relaxed);
}

/// `sg_plugin_entry`.
///
/// # Safety
///
/// `args` and `out` as the contract says: readable for their `struct_size`, the table in `args` complete and valid until
/// `unload` returns.
pub unsafe fn entry<T: Exported>(
    definition: &'static Definition<T>,
    args: *const SgEntryArgs,
    out: *mut SgEntryOut,
) -> i32 {
    // SAFETY: by the contract `args` is null or begins with its size.
    let args = unsafe { sized(args, |args| args.struct_size) };
    // SAFETY: likewise `out`.
    let fits = unsafe { sized(out.cast_const(), |out| out.struct_size) }.is_some();
    let (Some(args), true) = (args, fits) else {
        return code::SG_E_INVALID;
    };
    // SAFETY: just checked to be there and whole; the gateway lets us write to it during this call.
    let out = unsafe { &mut *out };
    match negotiate(args) {
        Ok(minor) => out.abi_minor = minor,
        Err((code, text)) => {
            write_error(Some(&mut out.error), &text);
            return code;
        }
    }
    // SAFETY: negotiate() checked that the table is complete, and it outlives this call.
    let _running = unsafe { Running::enter(args.host, 0) };
    let linked_in = LINKED_IN.load(Ordering::Relaxed);
    if !linked_in {
        call::publish(args.host);
    }
    let level = if linked_in {
        LevelFilter::Trace
    } else {
        LevelFilter::Info
    };
    let table = forward::barrier(|| {
        forward::install(level);
        std::ptr::from_ref(definition.table())
    });
    match table {
        Ok(table) => {
            out.plugin = table;
            code::SG_OK
        }
        Err(text) => {
            // The gateway will not call unload, so its table may go at any time.
            call::publish(std::ptr::null());
            write_error(Some(&mut out.error), &text);
            code::SG_E_PANIC
        }
    }
}

/// A structure that begins with its size, if it is there and as long as ours.
///
/// # Safety
///
/// `pointer` is null or points to at least the size, and to as much as that size says, for `'a`.
pub(super) unsafe fn sized<'a, T>(pointer: *const T, size: fn(&T) -> u32) -> Option<&'a T> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: not null, so by the contract of this function at least the size is readable.
    let found = unsafe { pointer.cast::<u32>().read() };
    if found < size_of_u32::<T>() {
        return None;
    }
    // SAFETY: as many bytes as the size says are readable, and that is at least a whole T.
    let whole = unsafe { &*pointer };
    debug_assert_eq!(size(whole), found, "the size stands first");
    Some(whole)
}

fn negotiate(args: &SgEntryArgs) -> Result<u32, (i32, String)> {
    let gateway = Range {
        major: args.abi_major,
        min_minor: args.abi_min_minor,
        max_minor: args.abi_max_minor,
    };
    let minor = version::negotiate(Range::CURRENT, gateway)
        .map_err(|mismatch| (code::SG_E_VERSION, mismatch.to_string()))?;
    // SAFETY: by the contract the table is null or begins with its size.
    let host = unsafe { sized(args.host, |host| host.struct_size) };
    if host.is_none() {
        let text = "the gateway's table is shorter than its version says: report this to the gateway's authors";
        return Err((code::SG_E_INVALID, text.to_owned()));
    }
    Ok(minor)
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use swapgate_abi::{ABI_MINOR, SgDescriptor, SgEntryArgs, SgEntryOut, SgErrorBuf, code};

    use super::{Definition, entry, linked_in, size_of_u32};
    use crate::guest::error::ConfigError;
    use crate::guest::export::descriptor;
    use crate::guest::export::{Exported, Hooks};
    use crate::guest::hooks::Plugin;

    struct Nothing;

    impl Plugin for Nothing {
        type Config = ();

        fn configure((): ()) -> Result<Self, ConfigError> {
            Ok(Self)
        }
    }

    static DESCRIPTOR: SgDescriptor = descriptor("nothing", "1.0.0", false);

    static DEFINITION: Definition<Nothing> = Definition::new(&DESCRIPTOR, Hooks::NONE);

    impl Exported for Nothing {
        fn definition() -> &'static Definition<Self> {
            &DEFINITION
        }
    }

    /// Enters with a changed size and version and room for an error; answers code and text.
    fn enter(struct_size: u32, minor: u32, room: usize) -> (i32, String) {
        linked_in();
        let mut text = vec![0; room];
        let args = SgEntryArgs {
            struct_size,
            abi_major: 0,
            abi_min_minor: minor,
            abi_max_minor: minor,
            flags: 0,
            reserved: 0,
            features: 0,
            host: ptr::null(),
        };
        let mut out = SgEntryOut {
            struct_size: size_of_u32::<SgEntryOut>(),
            abi_minor: 0,
            plugin: ptr::null(),
            error: SgErrorBuf {
                ptr: text.as_mut_ptr(),
                cap: room,
                len: 0,
            },
        };
        // SAFETY: both are locals at least as long as they say; the null table is refused.
        let code = unsafe { entry(&DEFINITION, &raw const args, &raw mut out) };
        assert!(out.plugin.is_null());
        text.truncate(out.error.len);
        (code, String::from_utf8(text).unwrap())
    }

    #[test]
    fn another_version_is_refused_with_the_one_text() {
        let (code, text) = enter(size_of_u32::<SgEntryArgs>(), ABI_MINOR + 1, 512);
        assert_eq!(code, code::SG_E_VERSION);
        assert_eq!(
            text,
            "it needs plugin contract 0.4, this gateway offers 0.5; build the plugin for 0.5"
        );
    }

    #[test]
    fn a_text_is_cut_to_the_room_there_is() {
        let (_, text) = enter(size_of_u32::<SgEntryArgs>(), ABI_MINOR + 1, 10);
        assert_eq!(text, "it needs p");
        let (_, text) = enter(size_of_u32::<SgEntryArgs>(), ABI_MINOR + 1, 0);
        assert_eq!(text, "");
    }

    #[test]
    fn short_structures_and_a_missing_table_are_invalid() {
        assert_eq!(enter(8, ABI_MINOR, 512).0, code::SG_E_INVALID);
        let (code, text) = enter(size_of_u32::<SgEntryArgs>(), ABI_MINOR, 512);
        assert_eq!(code, code::SG_E_INVALID);
        assert!(text.starts_with("the gateway's table is shorter"), "{text}");
        // SAFETY: null is refused.
        let code = unsafe { entry(&DEFINITION, ptr::null(), ptr::null_mut()) };
        assert_eq!(code, code::SG_E_INVALID);
    }
}
