//! Bytes as text in which each of them can be seen.

use std::fmt::Write as _;

/// As text, with everything that is not a visible character written out.
pub(super) fn escaped(bytes: &[u8], most: usize) -> String {
    let mut text = String::new();
    for byte in bytes {
        if text.len() >= most {
            text.push_str("...");
            break;
        }
        match byte {
            b' '..=b'~' => text.push(char::from(*byte)),
            other => {
                let _ = write!(text, "\\x{other:02x}");
            }
        }
    }
    text
}

pub(super) fn until_control(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| is_control(*byte));
    bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default()
}

pub(super) fn is_control(byte: u8) -> bool {
    byte < b' ' || byte == 0x7f
}
