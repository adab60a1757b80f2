//! What a plugin tells the gateway about itself, for [`Plugin::FLAGS`](crate::Plugin::FLAGS); several are joined with `|`.

use swapgate_abi as abi;

/// It has threads of its own, so its image is never unmapped: a thread may stand in it.
pub const OWNS_THREADS: u32 = abi::SG_PLUGIN_OWNS_THREADS;

/// It asks never to be unmapped.
pub const RESIDENT: u32 = abi::SG_PLUGIN_RESIDENT;

/// At most one image with this flag can be in a process, whatever the plugin; a swap needs a restart.
pub const ONE_IMAGE_ONLY: u32 = abi::SG_PLUGIN_ONE_IMAGE_ONLY;

/// It reads the request's headers in `rewrite` and `access` only. In later hooks they may be gone, and every exchange is
/// spared a copy of all of them.
pub const REQUEST_HEADERS_EARLY: u32 = abi::SG_PLUGIN_REQUEST_HEADERS_EARLY;
