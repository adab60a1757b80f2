//! Bytes that clients and upstreams choose, so that they cannot leave the place they are put in.

/// What a byte needs inside a JSON text.
const SAFE: u8 = 0;
const ESCAPE: u8 = 1;
/// The first byte of a character that may need an escape: U+0080 to U+009F (control characters that terminals obey),
/// U+2028 and U+2029 (line ends to some readers).
const LOOK: u8 = 2;

const CLASS: [u8; 256] = {
    let mut class = [SAFE; 256];
    let mut byte = 0;
    while byte < 0x20 {
        class[byte] = ESCAPE;
        byte += 1;
    }
    class[b'"' as usize] = ESCAPE;
    class[b'\\' as usize] = ESCAPE;
    class[0x7f] = ESCAPE;
    class[0xc2] = LOOK;
    class[0xe2] = LOOK;
    class
};

const HEX: &[u8; 16] = b"0123456789abcdef";

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
    while let Some(at) = rest
        .bytes()
        .position(|byte| CLASS[usize::from(byte)] != SAFE)
    {
        // Classes other than safe are those of first bytes only, so this is where a character begins.
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

fn json_char(out: &mut Vec<u8>, char: char) {
    match char {
        '"' | '\\' => out.extend([b'\\', u8::try_from(char).unwrap_or(b'?')]),
        '\n' => out.extend(b"\\n"),
        '\r' => out.extend(b"\\r"),
        '\t' => out.extend(b"\\t"),
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
            let code = u32::from(char);
            out.extend(b"\\u");
            out.extend([12, 8, 4, 0].map(|shift| HEX[(code >> shift & 15) as usize]));
        }
        _ => out.extend(char.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Writes bytes as nginx does: printable ASCII as it is, `"`, `\` and everything else as `\xXX`.
pub fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        match byte {
            b'"' | b'\\' | ..0x20 | 0x7f.. => {
                let digit = |half: u8| HEX[usize::from(half)].to_ascii_uppercase();
                out.extend([b'\\', b'x', digit(byte >> 4), digit(byte & 15)]);
            }
            _ => out.push(*byte),
        }
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
