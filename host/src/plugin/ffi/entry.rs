//! Through the door: negotiation, then the plugin's table of functions, checked once and copied. Unsafe: it calls the
//! entry function and reads the table it answers.

use swapgate_abi::{
    ABI_MAJOR, ABI_MINOR, EntryFn, SG_BODY_BUFFER, SG_E_PANIC, SG_E_VERSION, SG_ENTRY_PREFLIGHT,
    SG_OK, SG_PLUGIN_ONE_IMAGE_ONLY, SG_PLUGIN_OWNS_THREADS, SG_PLUGIN_REQUEST_HEADERS_EARLY,
    SG_PLUGIN_RESIDENT, SgEntryArgs, SgEntryOut, SgHost, SgPlugin, SgStr,
};

use super::control::{Bodies, ErrorRoom, Flags, Hooks, Table};
use super::view::size_u32;
use crate::fault::label::ImageIdentity;
use crate::plugin::refusal::Reason;

/// Longest text (id, version, schema) that is read out of a plugin's table.
const TEXT_LIMIT: usize = 1 << 20;
const KNOWN_FLAGS: u32 = SG_PLUGIN_OWNS_THREADS
    | SG_PLUGIN_RESIDENT
    | SG_PLUGIN_ONE_IMAGE_ONLY
    | SG_PLUGIN_REQUEST_HEADERS_EARLY;

impl Table {
    /// Goes through the door: negotiates, then checks and copies the table.
    ///
    /// # Errors
    /// The plugin refuses, or its table is wrong.
    pub fn enter(
        entry: EntryFn,
        host: &SgHost,
        identity: &ImageIdentity,
        preflight: bool,
    ) -> Result<Self, Reason> {
        let args = SgEntryArgs {
            struct_size: size_u32::<SgEntryArgs>(),
            abi_major: ABI_MAJOR,
            abi_min_minor: ABI_MINOR,
            abi_max_minor: ABI_MINOR,
            flags: if preflight { SG_ENTRY_PREFLIGHT } else { 0 },
            reserved: 0,
            features: 0,
            host: &raw const *host,
        };
        let mut room = ErrorRoom::new();
        let mut out = SgEntryOut {
            struct_size: size_u32::<SgEntryOut>(),
            abi_minor: 0,
            plugin: std::ptr::null(),
            error: room.buf(),
        };
        // SAFETY: the library is mapped and `args`, `out` and the error room live across the call; the caller made all
        // three, and the host table behind `args.host` lives until `unload` returned.
        let code = unsafe { entry(&raw const args, &raw mut out) };
        room.take(out.error);
        entered(code, &room, identity)?;
        if out.abi_minor != ABI_MINOR {
            return Err(wrong(&format!(
                "it negotiated minor {} instead of {ABI_MINOR}",
                out.abi_minor
            )));
        }
        let plugin = copy_table(out.plugin)?;
        Self::check(&plugin, identity)
    }

    fn check(plugin: &SgPlugin, identity: &ImageIdentity) -> Result<Self, Reason> {
        asks_for_nothing_unknown(plugin, identity)?;
        let hooks = Hooks {
            rewrite: plugin.rewrite,
            access: plugin.access,
            request_body: plugin.request_body,
            header_filter: plugin.header_filter,
            body_filter: plugin.body_filter,
            trailers: plugin.trailers,
            log: plugin.log,
            request_end: plugin.request_end,
            on_event: plugin.on_event,
            on_tick: plugin.on_tick,
            on_op_done: plugin.on_op_done,
        };
        let has_more = plugin.start.is_some() || plugin.destroy.is_some();
        if plugin.configure.is_none() && (has_more || !hooks.phases().is_empty()) {
            return Err(wrong("it has hooks of an instance but no configure"));
        }
        let schema = text("config_schema", plugin.config_schema)?;
        Ok(Self {
            flags: Flags {
                owns_threads: plugin.flags & SG_PLUGIN_OWNS_THREADS != 0,
                resident: plugin.flags & SG_PLUGIN_RESIDENT != 0,
                one_image_only: plugin.flags & SG_PLUGIN_ONE_IMAGE_ONLY != 0,
                request_headers_early: plugin.flags & SG_PLUGIN_REQUEST_HEADERS_EARLY != 0,
            },
            priority: plugin.priority,
            schema: Some(schema).filter(|schema| !schema.trim().is_empty()),
            hooks,
            bodies: Bodies {
                request: plugin.request_body_need,
                response: plugin.response_body_need,
                buffer_bytes: plugin.buffer_bytes,
            },
            load: plugin.load,
            unload: plugin.unload,
            configure: plugin.configure,
            start: plugin.start,
            destroy: plugin.destroy,
            export_state: plugin.export_state,
            import_state: plugin.import_state,
            memory: plugin.memory,
        })
    }
}

/// Whether a table belongs to this plugin and asks for nothing unknown.
fn asks_for_nothing_unknown(plugin: &SgPlugin, identity: &ImageIdentity) -> Result<(), Reason> {
    equal("id", plugin.id, &identity.id)?;
    equal("version", plugin.version, &identity.version)?;
    if plugin.features_required != 0 {
        return Err(wrong(&format!(
            "it requires features {:#x}, of which this gateway has none",
            plugin.features_required
        )));
    }
    if plugin.flags & !KNOWN_FLAGS != 0 {
        return Err(wrong(&format!("its flags {:#x} are unknown", plugin.flags)));
    }
    if plugin.request_body_need > SG_BODY_BUFFER || plugin.response_body_need > SG_BODY_BUFFER {
        return Err(wrong(&format!(
            "its needs of bodies are {} and {}, and {SG_BODY_BUFFER} is the largest there is",
            plugin.request_body_need, plugin.response_body_need
        )));
    }
    Ok(())
}

fn entered(code: i32, room: &ErrorRoom, identity: &ImageIdentity) -> Result<(), Reason> {
    match code {
        SG_OK => Ok(()),
        // The descriptor agreed and the code does not: the plugin contradicts itself, its own words are all there is.
        SG_E_VERSION => Err(Reason::EntryFailed {
            text: format!("versions do not fit: {}", room.text_or("no reason given")),
        }),
        SG_E_PANIC => Err(Reason::Panicked {
            hook: "sg_plugin_entry".to_owned(),
            text: room.text_or("no text"),
        }),
        code => Err(Reason::EntryFailed {
            text: format!(
                "{}, code {code}, in {}@{}",
                room.text_or("no reason given"),
                identity.id,
                identity.version
            ),
        }),
    }
}

/// Copies what the plugin's table has; what an older, shorter one lacks is absent.
fn copy_table(theirs: *const SgPlugin) -> Result<SgPlugin, Reason> {
    if theirs.is_null() {
        return Err(wrong("there is none: out.plugin is null"));
    }
    if !theirs.is_aligned() {
        return Err(wrong("its address is not aligned"));
    }
    // SAFETY: the pointer must lead to at least four readable bytes. It is not null and aligned, and the contract says
    // that the table begins with its size and is kept until `unload` returned.
    let size = unsafe { theirs.cast::<u32>().read() };
    // Until 1.0 minors are equal, so a shorter table is a mistake and not an older plugin.
    if (size as usize) < size_of::<SgPlugin>() {
        return Err(wrong(&format!(
            "its struct_size is {size}, below {}",
            size_of::<SgPlugin>()
        )));
    }
    // SAFETY: the pointer must lead to a whole table. It says itself that it is large enough, and is kept as above.
    Ok(unsafe { theirs.read() })
}

fn equal(what: &str, theirs: SgStr, descriptor: &str) -> Result<(), Reason> {
    let found = text(what, theirs)?;
    if found == descriptor {
        return Ok(());
    }
    Err(wrong(&format!(
        "its {what} is {found:?}, but the descriptor says {descriptor:?}"
    )))
}

fn text(what: &str, theirs: SgStr) -> Result<String, Reason> {
    if theirs.len == 0 {
        return Ok(String::new());
    }
    if theirs.ptr.is_null() || theirs.len > TEXT_LIMIT {
        return Err(wrong(&format!(
            "its {what} is null or longer than {TEXT_LIMIT} bytes"
        )));
    }
    // SAFETY: the pointer must lead to `len` readable bytes. It is not null, the length is sane, and the contract says
    // that the table and what it points to are kept until `unload` returned; they are copied at once.
    let bytes = unsafe { std::slice::from_raw_parts(theirs.ptr, theirs.len) };
    String::from_utf8(bytes.to_vec()).map_err(|_| wrong(&format!("its {what} is not UTF-8")))
}

fn wrong(what: &str) -> Reason {
    Reason::BadTable {
        what: what.to_owned(),
    }
}
