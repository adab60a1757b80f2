//! Both doors, the table of hooks and the panic barrier.
//!
//! - here: the export macro;
//! - `probe`: how it finds out which hooks there are;
//! - `descriptor`: what can be read from the file;
//! - `definition`: what is known of a plugin, and its table of hooks;
//! - `entry`: the door, and the negotiation;
//! - `control`: the calls outside of exchanges, and the instance they make;
//! - `phase`, `body`: the hooks of exchanges;
//! - `waiting`: those of them that wait, and the events that let them go on;
//! - `background`: what happens outside of exchanges;
//! - `handover`: the calls by which an instance hands its state over;
//! - `state`: what an instance keeps in an exchange;
//! - [`alloc`]: a counter round the system's allocator.
//!
//! Everything public here is for [`export!`](crate::export) and changes as that macro does.

pub use abi_stable::library::{
    __call_root_module_loader as load_root, CheckTypeLayout, LibHeader, RootModuleResult,
};
pub use swapgate_abi::{PluginRootRef, SgDescriptor, SgEntryArgs, SgEntryOut};

use super::hooks::Plugin;

pub mod alloc;
mod background;
mod body;
mod control;
mod definition;
mod descriptor;
mod entry;
mod handover;
mod phase;
mod probe;
mod state;
mod waiting;

pub use background::{BeginFn, Starting};
pub(super) use body::append_owned;
pub use definition::Definition;
pub use descriptor::descriptor;
pub(crate) use descriptor::size_of_u32;
pub(crate) use entry::linked_in;
pub use entry::{entry, root};
pub use probe::{Absent, Hooks, Probe};
pub(super) use state::{set_state, state_mut, state_ref};

/// Exports a type that implements [`Plugin`] as a Swapgate plugin, through both doors.
///
/// ```text
/// swapgate_plugin::export!(KeyAuth, id = "key-auth");
/// ```
///
/// The id is a constant of `[a-z0-9-]`, at most 63 bytes. The version is the one in `Cargo.toml` unless `version = ".."`
/// says otherwise. Which of the hooks the type implements is found out here; there is no list to forget one in. Once per
/// library, and the crate needs `crate-type = ["cdylib"]`.
#[macro_export]
macro_rules! export {
    ($plugin:ty, id = $id:expr $(,)?) => {
        $crate::export!(
            $plugin,
            id = $id,
            version = ::core::env!("CARGO_PKG_VERSION")
        );
    };
    ($plugin:ty, id = $id:expr, version = $version:expr $(,)?) => {
        const _: () = {
            use $crate::guest::export as sdk;

            #[unsafe(no_mangle)]
            static sg_plugin_abi: sdk::SgDescriptor =
                sdk::descriptor($id, $version, ::core::cfg!(panic = "abort"));

            static DEFINITION: sdk::Definition<$plugin> = {
                use sdk::Absent as _;
                type Probe = sdk::Probe<$plugin>;
                sdk::Definition::new(
                    &sg_plugin_abi,
                    sdk::Hooks::phases(
                        [Probe::REWRITE, Probe::ASYNC_REWRITE],
                        [Probe::ACCESS, Probe::ASYNC_ACCESS],
                        [Probe::HEADER_FILTER, Probe::ASYNC_HEADER_FILTER],
                        [Probe::REQUEST_BODY, Probe::ASYNC_REQUEST_BODY],
                        [Probe::BODY_FILTER, Probe::ASYNC_BODY_FILTER],
                    )
                    .ends(Probe::LOG, [Probe::REQUEST_END, Probe::REQUEST_END_OF_ALL])
                    .bodies(
                        Probe::TRAILERS,
                        [
                            Probe::REQUEST_NEED,
                            Probe::ASYNC_REQUEST_NEED,
                            Probe::REQUEST_TRAILERS_NEED,
                        ],
                        [
                            Probe::RESPONSE_NEED,
                            Probe::ASYNC_RESPONSE_NEED,
                            Probe::RESPONSE_TRAILERS_NEED,
                        ],
                    )
                    .background(
                        [Probe::BEGIN, Probe::TICKS],
                        Probe::ON_TICK,
                        Probe::ON_OP_DONE,
                    )
                    .states(Probe::EXPORT_STATE, Probe::IMPORT_STATE),
                )
            };

            impl sdk::Exported for $plugin {
                fn definition() -> &'static sdk::Definition<Self> {
                    &DEFINITION
                }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn sg_plugin_entry(
                args: *const sdk::SgEntryArgs,
                out: *mut sdk::SgEntryOut,
            ) -> i32 {
                // SAFETY: this is the entry function of the contract, and its caller keeps that contract.
                unsafe { sdk::entry(&DEFINITION, args, out) }
            }

            fn root() -> $crate::guest::export::PluginRootRef {
                sdk::root(sg_plugin_entry)
            }

            extern "C" fn load_root() -> sdk::RootModuleResult {
                sdk::load_root(root)
            }

            // The name abi_stable looks for; the SDK has a test that it is this one.
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            static ROOT_HEADER: sdk::LibHeader = {
                // SAFETY: load_root() returns what was a PluginRootRef.
                unsafe {
                    sdk::LibHeader::from_constructor::<sdk::PluginRootRef>(
                        load_root,
                        sdk::CheckTypeLayout::Yes,
                    )
                }
            };
        };
    };
}

/// What [`export!`](crate::export) implements, so that [`testing`](crate::testing) finds the same table.
pub trait Exported: Plugin {
    /// The definition behind the doors.
    fn definition() -> &'static Definition<Self>;
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_macro_uses_the_name_that_abi_stable_looks_for() {
        assert_eq!(
            abi_stable::library::ROOT_MODULE_LOADER_NAME,
            "_1as_0lib_1header_0root_bmodule_bloader"
        );
    }
}
