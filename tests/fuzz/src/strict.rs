//! HTTP/1.1 as RFC 9112 says it and no other way: the reading of an upstream or a client that forgives nothing.

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The first line.
    pub line: &'a [u8],
    /// Names in lower case, and values.
    pub fields: Vec<(Vec<u8>, &'a [u8])>,
    /// What follows.
    pub body: Vec<u8>,
}

/// What comes after the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// What a request says comes after it.
    OfRequest,
    /// What an answer says; where it says nothing, everything until the connection ends.
    OfAnswer,
    /// Nothing, whatever it says.
    Nothing,
}

impl Message<'_> {
    /// The values of a field.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let found = move |(known, _): &&(Vec<u8>, &[u8])| known == name.as_bytes();
        self.fields.iter().filter(found).map(|(_, value)| *value)
    }
}

/// Reads one message, and says how many bytes it is.
///
/// # Errors
/// Anything that a strict reader does not take.
pub fn message(bytes: &[u8], after: After) -> Result<(Message<'_>, usize), &'static str> {
    let (line, mut at) = line(bytes, 0)?;
    if line.is_empty() {
        return Err("an empty first line");
    }
    let mut fields = Vec::new();
    loop {
        let (text, next) = self::line(bytes, at)?;
        at = next;
        if text.is_empty() {
            break;
        }
        fields.push(field(text)?);
    }
    let mut message = Message {
        line,
        fields,
        body: Vec::new(),
    };
    let end = body(&mut message, bytes, at, after)?;
    Ok((message, end))
}

/// A line without its end, and where the next one begins.
fn line(bytes: &[u8], at: usize) -> Result<(&[u8], usize), &'static str> {
    let rest = bytes.get(at..).unwrap_or_default();
    let end = rest
        .windows(2)
        .position(|pair| pair == b"\r\n")
        .ok_or("a line without an end")?;
    let line = &rest[..end];
    if line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return Err("CR, LF or NUL inside a line");
    }
    Ok((line, at + end + 2))
}

fn field(line: &[u8]) -> Result<(Vec<u8>, &[u8]), &'static str> {
    let colon = line.iter().position(|byte| *byte == b':');
    let (name, value) = line.split_at(colon.ok_or("a field without a colon")?);
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if name.is_empty() || !name.iter().all(token) {
        return Err("a field without a name");
    }
    let value = value[1..].trim_ascii();
    let visible = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    if !value.iter().all(visible) {
        return Err("a control character in a value");
    }
    Ok((name.to_ascii_lowercase(), value))
}

/// Reads the body, and says where the message ends (RFC 9112, 6.3).
fn body(
    message: &mut Message<'_>,
    bytes: &[u8],
    at: usize,
    after: After,
) -> Result<usize, &'static str> {
    let codings: Vec<&[u8]> = message.all("transfer-encoding").collect();
    let lengths: Vec<&[u8]> = message.all("content-length").collect();
    if !codings.is_empty() && !lengths.is_empty() {
        return Err("two ways to say how long it is");
    }
    if lengths.len() > 1 {
        return Err("two lengths");
    }
    if after == After::Nothing {
        return Ok(at);
    }
    match (&*codings, &*lengths) {
        ([], []) if after == After::OfRequest => Ok(at),
        ([], []) => {
            message.body = bytes[at..].to_vec();
            Ok(bytes.len())
        }
        ([], [length]) => {
            let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
            let text = std::str::from_utf8(length).unwrap_or_default();
            let length: usize = text.parse().map_err(|_| "a length that is none")?;
            let end = at.checked_add(length).filter(|_| digits);
            let body = end.and_then(|end| bytes.get(at..end));
            message.body = body.ok_or("a body that is too short")?.to_vec();
            Ok(at + length)
        }
        ([coding], []) if coding.eq_ignore_ascii_case(b"chunked") => {
            let (body, end) = chunks(bytes, at)?;
            message.body = body;
            Ok(end)
        }
        _ => Err("a coding that is not chunked alone"),
    }
}

fn chunks(bytes: &[u8], mut at: usize) -> Result<(Vec<u8>, usize), &'static str> {
    let mut body = Vec::new();
    loop {
        let (size, next) = line(bytes, at)?;
        let digits = size
            .iter()
            .take_while(|byte| byte.is_ascii_hexdigit())
            .count();
        if digits == 0 || digits > 8 || size.len() > digits && size[digits] != b';' {
            return Err("a chunk without a size");
        }
        let text = std::str::from_utf8(&size[..digits]).unwrap_or_default();
        let size = usize::from_str_radix(text, 16).map_err(|_| "a chunk without a size")?;
        at = next;
        if size == 0 {
            break;
        }
        let data = bytes
            .get(at..at + size)
            .ok_or("a chunk that is too short")?;
        body.extend_from_slice(data);
        at += size;
        if bytes.get(at..at + 2) != Some(b"\r\n") {
            return Err("a chunk that is too long");
        }
        at += 2;
    }
    loop {
        let (trailer, next) = line(bytes, at)?;
        at = next;
        if trailer.is_empty() {
            return Ok((body, at));
        }
        field(trailer)?;
    }
}
