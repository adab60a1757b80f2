//! Whether a plugin and a gateway may talk: what a descriptor says, and what two ranges of versions come to.

use swapgate::door;
use swapgate::plugin::inspect::is_id;
use swapgate_plugin::version::{Range, negotiate};

use crate::input::Input;

/// The first byte says whether there is an entry; what follows is a descriptor. The same bytes are two ranges of versions.
pub fn negotiation(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    ranges(input, flags & 2 == 2);
    match door::descriptor(input.rest(), flags & 1 == 1) {
        Ok(read) => {
            assert!(flags & 1 == 1 && input.rest().len() >= 256);
            assert!(is_id(&read.id));
            let range = Range {
                major: read.abi_major,
                min_minor: read.abi_min_minor,
                max_minor: read.abi_max_minor,
            };
            assert!(negotiate(range, Range::CURRENT).is_ok());
            assert!(crate::is_one_line(&read.sdk) && crate::is_one_line(&read.toolchain));
        }
        Err(reason) => {
            let sentence = reason.to_string();
            assert!(crate::is_one_line(&sentence), "{sentence:?}");
        }
    }
}

fn ranges(mut input: Input<'_>, settled: bool) {
    // Small numbers, so that they meet; before 1.0 another rule holds.
    let least = u32::from(settled);
    let mut range = || Range {
        major: u32::from(input.byte() & 1) + least,
        min_minor: u32::from(input.byte() & 7),
        max_minor: u32::from(input.byte() & 7),
    };
    let (plugin, gateway) = (range(), range());
    let common = |minor: &u32| {
        let inside = |range: &Range| (range.min_minor..=range.max_minor).contains(minor);
        inside(&plugin) && inside(&gateway)
    };
    let same = plugin.major == gateway.major && (plugin.major > 0 || plugin == gateway);
    let wanted = (0..8).rev().find(common).filter(|_| same);
    match negotiate(plugin, gateway) {
        Ok(minor) => assert_eq!(Some(minor), wanted, "{plugin:?} {gateway:?}"),
        Err(mismatch) => {
            // A gateway that knows nothing is not negotiated with.
            let empty = gateway.min_minor > gateway.max_minor;
            assert!(wanted.is_none() || empty, "{plugin:?} {gateway:?}");
            assert!(mismatch.to_string().contains("needs plugin contract"));
        }
    }
}
