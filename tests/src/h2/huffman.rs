//! The strings of HPACK in Huffman's code (RFC 7541, 5.2 and Appendix B).
//!
//! The code is canonical: codes of one length follow each other in the order of their symbols. So the lengths are the
//! whole table.

use std::sync::LazyLock;

/// The symbol that ends nothing: it must never occur.
const EOS: u16 = 256;

/// How many bits each of the 256 bytes has, and then EOS.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// What a string in this code means.
///
/// # Errors
/// EOS within it, or an end that is not at most seven bits of ones.
pub fn decode(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let (mut code, mut length) = (0_u32, 0_u8);
    for bit in bytes
        .iter()
        .flat_map(|byte| (0..8).map(move |at| byte >> (7 - at) & 1))
    {
        (code, length) = (code << 1 | u32::from(bit), length + 1);
        let Ok(at) =
            CODES.binary_search_by_key(&(length, code), |&(length, code, _)| (length, code))
        else {
            continue;
        };
        let symbol = CODES[at].2;
        if symbol == EOS {
            return Err("EOS stands in a string".to_owned());
        }
        out.extend(u8::try_from(symbol));
        (code, length) = (0, 0);
    }
    match length < 8 && code == (1 << length) - 1 {
        true => Ok(out),
        false => Err(format!("a string ends in the {length} bits {code:b}")),
    }
}

/// A string in this code.
#[must_use]
pub fn encode(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut held, mut bits) = (Vec::new(), 0_u64, 0_u8);
    for byte in bytes {
        let found = CODES
            .iter()
            .find(|(_, _, symbol)| *symbol == u16::from(*byte));
        let (length, code, _) = found.copied().unwrap_or_default();
        (held, bits) = (held << length | u64::from(code), bits + length);
        while bits >= 8 {
            bits -= 8;
            out.extend(u8::try_from(held >> bits & 0xff));
        }
    }
    if bits > 0 {
        let rest = held << (8 - bits) | ((1 << (8 - bits)) - 1);
        out.extend(u8::try_from(rest & 0xff));
    }
    out
}

/// Length, code and symbol, in the order of the first two.
static CODES: LazyLock<Vec<(u8, u32, u16)>> = LazyLock::new(|| {
    let mut symbols: Vec<(u8, u16)> = LENGTHS.iter().copied().zip(0..).collect();
    symbols.sort_unstable();
    let (mut code, mut before) = (0_u32, 0);
    let mut next = |(length, symbol): (u8, u16)| {
        code <<= length - before;
        before = length;
        code += 1;
        (length, code - 1, symbol)
    };
    symbols.into_iter().map(&mut next).collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7541, C.4.1 and C.6.1.
    #[test]
    fn reads_and_writes_the_examples_of_the_rfc() {
        let host = b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        assert_eq!(decode(host).unwrap(), b"www.example.com");
        assert_eq!(encode(b"www.example.com"), host);
        assert_eq!(decode(b"\xae\xc3\x77\x1a\x4b").unwrap(), b"private");
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)).unwrap(), all);
    }

    #[test]
    fn refuses_bad_ends() {
        assert!(decode(b"\xff\xff\xff\xff").is_err(), "EOS");
        assert!(decode(b"\x00").is_err(), "zeros after a symbol");
        assert!(decode(b"\x1f\xff").is_err(), "more than seven bits");
    }
}
