//! Header blocks written by hand (RFC 7541): literals that nobody compresses, and every other form on request.

/// How a literal is to be kept (RFC 7541, 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// In the dynamic table.
    Indexed,
    /// Nowhere.
    Not,
    /// Nowhere, on the rest of the way as well.
    Never,
}

/// A block of literals with plain strings, kept nowhere.
pub fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    let one = |(name, value): &(N, V)| literal(Keep::Not, name, value);
    fields.iter().flat_map(one).collect()
}

/// One literal field with a literal name.
pub fn literal(keep: Keep, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    let mut bytes = literal_indexed_name(keep, 0, "");
    bytes.pop(); // the empty value
    bytes.extend(string(name));
    bytes.extend(string(value));
    bytes
}

/// One literal field whose name stands in a table.
pub fn literal_indexed_name(keep: Keep, name: u64, value: impl AsRef<[u8]>) -> Vec<u8> {
    let mut bytes = match keep {
        Keep::Indexed => integer(0x40, 6, name),
        Keep::Not => integer(0x00, 4, name),
        Keep::Never => integer(0x10, 4, name),
    };
    bytes.extend(string(value));
    bytes
}

/// A whole field of a table.
#[must_use]
pub fn indexed(index: u64) -> Vec<u8> {
    integer(0x80, 7, index)
}

/// A change of the size of the dynamic table.
#[must_use]
pub fn size_update(size: u64) -> Vec<u8> {
    integer(0x20, 5, size)
}

/// A string as it is.
pub fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    with_length(0x00, bytes.as_ref())
}

/// Bytes that are said to be in Huffman's code, whatever they are.
pub fn said_huffman(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    with_length(0x80, bytes.as_ref())
}

/// A number after the pattern in the high bits of its first byte (RFC 7541, 5.1).
#[must_use]
pub fn integer(pattern: u8, prefix: u8, value: u64) -> Vec<u8> {
    let most = (1_u64 << prefix) - 1;
    if value < most {
        return vec![pattern | low(value)];
    }
    let (mut bytes, mut rest) = (vec![pattern | low(most)], value - most);
    while rest >= 0x80 {
        bytes.push(low(rest & 0x7f) | 0x80);
        rest >>= 7;
    }
    bytes.push(low(rest));
    bytes
}

fn low(value: u64) -> u8 {
    u8::try_from(value & 0xff).unwrap_or_default()
}

fn with_length(pattern: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = integer(pattern, 7, bytes.len() as u64);
    out.extend_from_slice(bytes);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7541, C.1 and C.2.
    #[test]
    fn writes_the_examples_of_the_rfc() {
        assert_eq!(integer(0, 5, 10), [0x0a]);
        assert_eq!(integer(0, 5, 1337), [0x1f, 0x9a, 0x0a]);
        assert_eq!(integer(0, 8, 42), [0x2a]);
        let custom = literal(Keep::Indexed, "custom-key", "custom-header");
        assert_eq!(custom, b"\x40\x0acustom-key\x0dcustom-header");
        let path = literal_indexed_name(Keep::Not, 4, "/sample/path");
        assert_eq!(path, b"\x04\x0c/sample/path");
        assert_eq!(
            literal(Keep::Never, "password", "secret"),
            b"\x10\x08password\x06secret"
        );
        assert_eq!(indexed(2), [0x82]);
        assert_eq!(size_update(0), [0x20]);
    }
}
