//! Bytes that clients and upstreams choose, so that they cannot leave the place they are put in.

/// Writes bytes as the inside of a JSON text (RFC 8259). What is not UTF-8 becomes U+FFFD.
pub fn json(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        json_text(out, chunk.valid());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

fn json_text(out: &mut Vec<u8>, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(may_need_escape) {
        // Those are first bytes only, so this is where a character begins.
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before.as_bytes());
        let mut chars = from.chars();
        if let Some(char) = chars.next() {
            json_char(out, char);
        }
        rest = chars.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
}

/// Whether a character that begins with this byte may need an escape: U+0080 to U+009F (control characters that terminals
/// obey) begin with 0xc2, U+2028 and U+2029 (line ends to some readers) with 0xe2.
fn may_need_escape(byte: u8) -> bool {
    matches!(byte, ..0x20 | b'"' | b'\\' | 0x7f | 0xc2 | 0xe2)
}

fn json_char(out: &mut Vec<u8>, char: char) {
    match char {
        '"' | '\\' => out.extend([b'\\', u8::try_from(char).unwrap_or(b'?')]),
        '\n' => out.extend(b"\\n"),
        '\r' => out.extend(b"\\r"),
        '\t' => out.extend(b"\\t"),
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
            // All of them have 16 bits.
            let [.., high, low] = u32::from(char).to_be_bytes();
            out.extend(b"\\u");
            out.extend([high >> 4, high & 15, low >> 4, low & 15].map(digit));
        }
        _ => out.extend(char.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Writes bytes as nginx does: printable ASCII as it is, `"`, `\` and everything else as `\xXX`.
pub fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        match byte {
            b'"' | b'\\' | ..0x20 | 0x7f.. => {
                out.extend(b"\\x");
                out.extend([byte >> 4, byte & 15].map(|half| digit(half).to_ascii_uppercase()));
            }
            _ => out.push(*byte),
        }
    }
}

/// Half a byte in the system of sixteen.
fn digit(half: u8) -> u8 {
    match half {
        0..10 => b'0' + half,
        _ => b'a' + (half - 10),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use swapgate_plugin::serde_json;

    fn json(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        super::json(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    fn text(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        super::text(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_escapes_what_ends_texts_lines_and_terminals() {
        assert_eq!(
            json(b"a\"b\\c\n\r\t\0\x1b\x7f"),
            r#"a\"b\\c\n\r\t\u0000\u001b\u007f"#
        );
        assert_eq!(
            json("grün\u{9b}\u{2028}â€©\u{2029}\u{a0}".as_bytes()),
            "grün\\u009b\\u2028â€©\\u2029\u{a0}"
        );
        assert_eq!(json(b"a\xffb\xc2"), "a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn text_escapes_everything_that_is_not_plain() {
        assert_eq!(text(b"GET /a?b=\"c\" \\"), r"GET /a?b=\x22c\x22 \x5C");
        assert_eq!(text(b"\n\x1b\x7f\xc3\xbc~ "), r"\x0A\x1B\x7F\xC3\xBC~ ");
    }

    proptest! {
        #[test]
        fn every_json_text_reads_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let written = format!("\"{}\"", json(&bytes));
            prop_assert!(!written.contains(|c: char| c.is_control()));
            let read: String = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(read, String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn every_text_is_printable(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(text(&bytes).bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"'));
        }
    }
}
