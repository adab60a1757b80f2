//! Finds parameters in a query. Names and values are percent-decoded for comparison; a plus sign stays one.

use std::fmt::Write;

/// The values of the parameter called `name`, and the query without it.
#[must_use]
pub fn split(query: &str, name: &str) -> (Vec<Vec<u8>>, String) {
    let mut values = Vec::new();
    let mut rest = String::with_capacity(query.len());
    for part in query.split('&') {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        if decode(key) == name.as_bytes() {
            values.push(decode(value));
        } else if rest.is_empty() {
            rest.push_str(part);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(rest, "&{part}");
        }
    }
    (values, rest)
}

fn decode(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let pair = (byte == b'%').then(|| (ahead.next(), ahead.next()));
        if let Some((Some(high), Some(low))) = pair
            && let (Some(high), Some(low)) = (hex(high), hex(low))
        {
            decoded.push(high * 16 + low);
            bytes = ahead;
        } else {
            decoded.push(byte);
        }
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    let digit = char::from(digit).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::split;

    #[track_caller]
    fn check(query: &str, values: &[&[u8]], rest: &str) {
        let (found, left) = split(query, "key");
        assert_eq!(found, values, "{query}");
        assert_eq!(left, rest, "{query}");
    }

    #[test]
    fn parameters_are_found_wherever_they_stand() {
        check("", &[], "");
        check("a=1", &[], "a=1");
        check("key=1", &[b"1"], "");
        check("key", &[b""], "");
        check("a=1&key=2&b=3", &[b"2"], "a=1&b=3");
        check("key=1&key=2", &[b"1", b"2"], "");
        check("Key=1&keys=2", &[], "Key=1&keys=2");
    }

    #[test]
    fn percent_signs_are_decoded_where_they_can_be() {
        check("k%65y=a%20b%2Bc+d", &[b"a b+c+d"], "");
        check("key=%", &[b"%"], "");
        check("key=%zz%4", &[b"%zz%4"], "");
    }
}
