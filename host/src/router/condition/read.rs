//! Reading queries and cookies.

use http::HeaderMap;
use http::header::COOKIE;
use smallvec::SmallVec;

/// A decoded name or value; most are short.
pub(super) type Buffer = SmallVec<[u8; 64]>;

/// Names and values of a query, as they are written.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Names and values of all cookies (RFC 6265, 5.4: `name=value` with `; ` between them); quotes are part of a value.
pub(crate) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    let values = headers.get_all(COOKIE).into_iter();
    let pairs = values.flat_map(|value| value.as_bytes().split(|&byte| byte == b';'));
    pairs.filter_map(|pair| {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let (name, value) = pair.split_at_checked(equals)?;
        Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
    })
}

/// A part of a query without its escapes. What needs no decoding is not copied.
pub(super) fn decoded<'b>(text: &'b str, buffer: &'b mut Buffer) -> &'b [u8] {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return text.as_bytes();
    }
    let digit = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escape = (byte == b'%')
            .then(|| Some(digit(after.first())? << 4 | digit(after.get(1))?))
            .flatten();
        rest = after;
        match escape.and_then(|code| u8::try_from(code).ok()) {
            Some(code) => {
                buffer.push(code);
                rest = after.get(2..).unwrap_or_default();
            }
            None if byte == b'+' => buffer.push(b' '),
            None => buffer.push(byte),
        }
    }
    buffer
}
