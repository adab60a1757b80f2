//! The second door: an `abi_stable` root module, frozen for ever.
//!
//! `abi_stable` refuses an old plugin on a new gateway as soon as the checked type has more fields. So nothing that
//! evolves stands here: two fields, both opaque to its layout check. From `entry` on, both doors are one.

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::sabi_types::VersionStrings;

/// Revision of this door.
pub const DOOR_REV: u32 = 1;

/// The root module a Rust plugin exports beside the C symbols.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginRootRef)))]
#[sabi(missing_field(panic))]
pub struct PluginRoot {
    /// [`DOOR_REV`].
    pub door_rev: u32,
    /// An [`EntryFn`](crate::EntryFn), opaque so that the layout check sees an address and not the contract:
    /// whoever calls it turns it back into that type first.
    #[sabi(last_prefix_field)]
    pub entry: extern "C" fn(),
}

impl RootModule for PluginRootRef {
    abi_stable::declare_root_module_statics! {PluginRootRef}
    const BASE_NAME: &'static str = "swapgate_plugin";
    const NAME: &'static str = "swapgate_plugin";
    const VERSION_STRINGS: VersionStrings = VersionStrings::new("1.0.0");
}
