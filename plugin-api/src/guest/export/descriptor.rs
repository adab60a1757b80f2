//! What can be read from the file before any code of the plugin runs.

use std::ffi::c_char;

use swapgate_abi::{MAGIC, SgDescriptor, SgStr, code};

use crate::version::Range;

/// Builds the descriptor at compile time; a bad id or version does not compile.
///
/// # Panics
///
/// At compile time: the id is not 1 to 63 bytes of `[a-z0-9-]`, or the version is not 1 to 63 bytes.
#[must_use]
pub const fn descriptor(id: &str, version: &str, panic_abort: bool) -> SgDescriptor {
    assert!(
        is_id(id.as_bytes()),
        "a plugin id is 1 to 63 bytes of [a-z0-9-]"
    );
    assert!(
        !version.is_empty() && version.len() < 64,
        "a plugin version is 1 to 63 bytes"
    );
    SgDescriptor {
        magic: MAGIC,
        struct_size: size_of_u32::<SgDescriptor>(),
        abi_major: Range::CURRENT.major,
        abi_min_minor: Range::CURRENT.min_minor,
        abi_max_minor: Range::CURRENT.max_minor,
        flags: if panic_abort {
            code::SG_DESC_PANIC_ABORT
        } else {
            0
        },
        reserved: 0,
        sdk: padded(concat!("rust ", env!("CARGO_PKG_VERSION"))),
        toolchain: padded(env!("SWAPGATE_TOOLCHAIN")),
        id: padded(id),
        version: padded(version),
    }
}

const fn is_id(id: &[u8]) -> bool {
    let mut left = id;
    while let [first, rest @ ..] = left {
        if !matches!(first, b'a'..=b'z' | b'0'..=b'9' | b'-') {
            return false;
        }
        left = rest;
    }
    !id.is_empty() && id.len() < 64
}

const fn padded<const N: usize>(text: &str) -> [c_char; N] {
    let mut field = [0; N];
    let (mut left, mut to) = (text.as_bytes(), &mut field as &mut [c_char]);
    // The last place stays zero.
    while let ([byte, others @ ..], [place, rest @ ..]) = (left, to)
        && !rest.is_empty()
    {
        *place = byte.cast_signed() as c_char;
        (left, to) = (others, rest);
    }
    field
}

/// The text in a padded field. Read at run time, through a fence for the optimiser, so that the table always says what
/// the descriptor in the file says.
pub(super) fn text_in(field: &[c_char]) -> SgStr {
    let field = std::hint::black_box(field);
    let len = field.iter().position(|c| *c == 0).unwrap_or(field.len());
    SgStr {
        ptr: field.as_ptr().cast(),
        len,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the structures of the contract are small"
)]
pub(crate) const fn size_of_u32<T>() -> u32 {
    size_of::<T>() as u32
}

#[cfg(test)]
mod tests {
    use super::{descriptor, is_id};

    #[test]
    fn ids_are_short_and_plain() {
        assert!(is_id(b"key-auth"));
        for bad in ["", "Key", "a_b", "ä", &"x".repeat(64)] {
            assert!(!is_id(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn texts_of_the_descriptor_are_padded_with_zeros() {
        let descriptor = descriptor("x", "1.2.3", true);
        assert_eq!(descriptor.flags, 1);
        assert_eq!(descriptor.id[..2], [120, 0]);
        assert_eq!(descriptor.version[4..7], [51, 0, 0]);
    }
}
