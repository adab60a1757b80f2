//! Both doors, the table of hooks and the panic barrier.
//!
//! - here: the export macro and how it finds out which hooks there are;
//! - `descriptor`: what can be read from the file;
//! - `entry`: the door, the negotiation, the table;
//! - `control`: the calls outside of exchanges, and the instance they make;
//! - `handover`: the calls by which an instance hands its state over;
//! - `phase`: the hooks of exchanges;
//! - `state`: what an instance leaves in an exchange.
//!
//! Everything public here is for [`export!`](crate::export) and changes as that macro does.

use std::marker::PhantomData;

pub use abi_stable::library::{
    __call_root_module_loader as load_root, CheckTypeLayout, LibHeader, RootModuleResult,
};
use swapgate_abi::{ExportStateFn, ImportStateFn, PhaseFn, RequestEndFn};
pub use swapgate_abi::{PluginRootRef, SgDescriptor, SgEntryArgs, SgEntryOut};

use super::hooks::{Access, HeaderFilter, Log, Plugin, RequestEnd, Rewrite};
use super::state::State;

mod control;
mod descriptor;
mod entry;
mod handover;
mod phase;
mod state;

pub use descriptor::descriptor;
pub(crate) use descriptor::size_of_u32;
pub(crate) use entry::linked_in;
pub use entry::{Definition, entry, root};
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

            static DEFINITION: sdk::Definition = {
                use sdk::Absent as _;
                sdk::Definition::new::<$plugin>(
                    &sg_plugin_abi,
                    sdk::Phases {
                        rewrite: sdk::Probe::<$plugin>::REWRITE,
                        access: sdk::Probe::<$plugin>::ACCESS,
                        header_filter: sdk::Probe::<$plugin>::HEADER_FILTER,
                        log: sdk::Probe::<$plugin>::LOG,
                        request_end: sdk::Probe::<$plugin>::REQUEST_END,
                        export_state: sdk::Probe::<$plugin>::EXPORT_STATE,
                        import_state: sdk::Probe::<$plugin>::IMPORT_STATE,
                    },
                )
            };

            impl sdk::Exported for $plugin {
                fn definition() -> &'static sdk::Definition {
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
    fn definition() -> &'static Definition;
}

/// Finds out at compile time which hooks `T` implements: an inherent constant whose bound holds wins over the constant
/// of [`Absent`], which every probe has.
#[derive(Debug)]
pub struct Probe<T>(PhantomData<T>);

/// No hook, for every phase.
pub trait Absent {
    /// Absent.
    const REWRITE: Option<PhaseFn> = None;
    /// Absent.
    const ACCESS: Option<PhaseFn> = None;
    /// Absent.
    const HEADER_FILTER: Option<PhaseFn> = None;
    /// Absent.
    const LOG: Option<PhaseFn> = None;
    /// Absent.
    const REQUEST_END: Option<RequestEndFn> = None;
    /// Absent.
    const EXPORT_STATE: Option<ExportStateFn> = None;
    /// Absent.
    const IMPORT_STATE: Option<ImportStateFn> = None;
}

impl<T> Absent for Probe<T> {}

impl<T: Rewrite> Probe<T> {
    /// Present.
    pub const REWRITE: Option<PhaseFn> = Some(phase::rewrite::<T>);
}

impl<T: Access> Probe<T> {
    /// Present.
    pub const ACCESS: Option<PhaseFn> = Some(phase::access::<T>);
}

impl<T: HeaderFilter> Probe<T> {
    /// Present.
    pub const HEADER_FILTER: Option<PhaseFn> = Some(phase::header_filter::<T>);
}

impl<T: Log> Probe<T> {
    /// Present.
    pub const LOG: Option<PhaseFn> = Some(phase::log::<T>);
}

impl<T: RequestEnd> Probe<T> {
    /// Present.
    pub const REQUEST_END: Option<RequestEndFn> = Some(phase::request_end::<T>);
}

impl<T: State> Probe<T> {
    /// Present.
    pub const EXPORT_STATE: Option<ExportStateFn> = Some(handover::export_state::<T>);
    /// Present.
    pub const IMPORT_STATE: Option<ImportStateFn> = Some(handover::import_state::<T>);
}

/// The hooks that exist.
#[derive(Debug, Clone, Copy)]
pub struct Phases {
    /// Before routing.
    pub rewrite: Option<PhaseFn>,
    /// After routing.
    pub access: Option<PhaseFn>,
    /// The head of the answer.
    pub header_filter: Option<PhaseFn>,
    /// The end.
    pub log: Option<PhaseFn>,
    /// The very end.
    pub request_end: Option<RequestEndFn>,
    /// Another instance is about to take its place.
    pub export_state: Option<ExportStateFn>,
    /// It takes the place of another one.
    pub import_state: Option<ImportStateFn>,
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
