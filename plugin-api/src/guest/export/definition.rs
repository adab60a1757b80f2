//! What is known of a plugin at compile time, and the table of hooks that is made of it.

use std::ffi::c_void;
use std::sync::OnceLock;

use swapgate_abi::{InstanceTok, SgDescriptor, SgErrorBuf, SgPlugin, SgStr};

use super::background::BeginFn;
use super::descriptor::{size_of_u32, text_in};
use super::probe::Hooks;
use super::{Exported, alloc, background, control};
use crate::guest::hooks::Plugin;

/// Everything [`entry`](super::entry()) needs to know about a plugin.
pub struct Definition<T> {
    descriptor: &'static SgDescriptor,
    hooks: Hooks<T>,
    table: OnceLock<Table>,
}

/// The table and the schema it points to.
struct Table {
    plugin: SgPlugin,
}

impl<T> std::fmt::Debug for Definition<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Definition").finish_non_exhaustive()
    }
}

// SAFETY: the pointers in the table lead to statics and leaked text that nobody changes.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

impl<T: Exported> Definition<T> {
    /// The definition of `T`.
    #[must_use]
    pub const fn new(descriptor: &'static SgDescriptor, hooks: Hooks<T>) -> Self {
        Self {
            descriptor,
            hooks,
            table: OnceLock::new(),
        }
    }

    pub(super) fn table(&self) -> &SgPlugin {
        let table = self.table.get_or_init(|| {
            // Once per image, and the gateway may read it until the image is gone.
            let schema: &'static str = String::leak(schema_of::<T>());
            Table {
                plugin: table_of(self.descriptor, &self.hooks, schema),
            }
        });
        &table.plugin
    }

    fn begin(&self) -> &[Option<BeginFn<T>>] {
        &self.hooks.begin
    }
}

unsafe extern "C" fn start<T: Exported>(
    instance: *mut c_void,
    token: InstanceTok,
    error: *mut SgErrorBuf,
) -> i32 {
    // SAFETY: the gateway keeps the contract of this hook.
    unsafe { background::start(instance, token, error, T::definition().begin()) }
}

fn schema_of<T: Plugin>() -> String {
    schemars::schema_for!(T::Config).as_value().to_string()
}

fn table_of<T: Exported>(
    descriptor: &SgDescriptor,
    hooks: &Hooks<T>,
    schema: &'static str,
) -> SgPlugin {
    SgPlugin {
        struct_size: size_of_u32::<SgPlugin>(),
        flags: T::FLAGS,
        id: text_in(&descriptor.id),
        version: text_in(&descriptor.version),
        features_required: 0,
        features_optional: 0,
        priority: T::PRIORITY,
        request_body_need: hooks.request_body_need,
        response_body_need: hooks.response_body_need,
        reserved: 0,
        config_schema: SgStr::new(schema.as_bytes()),
        buffer_bytes: hooks.buffer_bytes,
        load: Some(control::load::<T>),
        unload: Some(control::unload::<T>),
        configure: Some(control::configure::<T>),
        start: Some(start::<T>),
        destroy: Some(control::destroy::<T>),
        rewrite: hooks.rewrite,
        access: hooks.access,
        header_filter: hooks.header_filter,
        log: hooks.log,
        request_end: hooks.request_end,
        request_body: hooks.request_body,
        body_filter: hooks.body_filter,
        trailers: hooks.trailers,
        on_event: hooks.on_event,
        on_tick: hooks.on_tick,
        on_op_done: hooks.on_op_done,
        export_state: hooks.export_state,
        import_state: hooks.import_state,
        memory: if alloc::counts() {
            Some(alloc::memory)
        } else {
            None
        },
    }
}
