//! The text in which cases are written: directives, and bytes that can be seen.

/// One line of a case: its first word, and the rest.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) word: String,
    pub(crate) rest: String,
}

/// The lines of one case.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) file: String,
    pub(crate) name: String,
    pub(crate) lines: Vec<Line>,
}

impl Block {
    /// Ends the test: a case that cannot be read is a mistake of whoever wrote it.
    pub(crate) fn fail(&self, line: &Line, why: &str) -> ! {
        let Self { file, name, .. } = self;
        panic!(
            "{file}:{}: {why} (in the case \"{name}\"): {} {}",
            line.number, line.word, line.rest
        )
    }
}

/// Takes a file apart.
pub(crate) fn blocks(file: &str, text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(name) = line.strip_prefix("== ") {
            blocks.push(Block {
                file: file.to_owned(),
                name: name.trim().to_owned(),
                lines: Vec::new(),
            });
            continue;
        }
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let Some(block) = blocks.last_mut() else {
            panic!("{file}:{}: a line before the first case", index + 1);
        };
        // Fields are set off by two spaces; what they say stands in `rest`.
        let (word, rest) = match line.strip_prefix("  ") {
            Some(field) => ("", field),
            None => line.split_once(' ').unwrap_or((line, "")),
        };
        block.lines.push(Line {
            number: index + 1,
            word: word.to_owned(),
            rest: rest.to_owned(),
        });
    }
    blocks
}

/// The bytes that a text with escapes stands for.
///
/// # Errors
/// A backslash with something behind it that is no escape.
pub(crate) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'0') => 0,
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits = [rest.next(), rest.next()].map(|digit| digit.map(char::from));
                match digits.map(|digit| digit.and_then(|digit| digit.to_digit(16))) {
                    [Some(high), Some(low)] => u8::try_from(high * 16 + low).expect("two digits"),
                    _ => return Err("\\x needs two hexadecimal digits".to_owned()),
                }
            }
            other => return Err(format!("no escape: \\{:?}", other.map(char::from))),
        });
    }
    Ok(bytes)
}

#[test]
fn bytes_can_be_seen() {
    assert_eq!(unescape(r"a\r\n\t\0\\\xffb").unwrap(), b"a\r\n\t\0\\\xffb");
    assert!(unescape(r"\q").is_err());
    assert!(unescape(r"\x1").is_err());
    let read = blocks("f", "# says nothing\n\n== one\nrfc 1 2\n> a b\n  x: y\n");
    let words: Vec<_> = read[0].lines.iter().map(|line| &*line.word).collect();
    assert_eq!(
        (read[0].name.as_str(), words),
        ("one", vec!["rfc", ">", ""])
    );
    assert_eq!(read[0].lines[1].rest, "a b");
}
