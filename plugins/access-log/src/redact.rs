//! Values that are nobody's business.

/// What stands in a log for a value that is masked.
pub const MASK: &[u8] = b"***";

/// Names longer than this are not looked at: none in a list is that long.
pub const MAX_NAME: usize = 64;

/// Query parameters whose values are masked.
#[derive(Debug, Clone, Default)]
pub struct Names(Vec<String>);

impl Names {
    /// Names in any case.
    #[must_use]
    pub fn new(names: Vec<String>) -> Self {
        let mut names = names;
        names
            .iter_mut()
            .for_each(|name| name.make_ascii_lowercase());
        Self(names)
    }

    /// Hands a query piece by piece to `put`, with masks in it. Names count as servers read them: in any case here, and
    /// percent-decoded, for `%74oken` is a token as well.
    pub fn mask_query(&self, query: &[u8], mut put: impl FnMut(&[u8])) {
        if self.0.is_empty() {
            return put(query);
        }
        for (index, pair) in query.split(|byte| *byte == b'&').enumerate() {
            if index > 0 {
                put(b"&");
            }
            let equals = pair.iter().position(|byte| *byte == b'=');
            match equals.map(|at| pair.split_at(at)) {
                Some((name, _)) if self.contains(name) => {
                    put(name);
                    put(b"=");
                    put(MASK);
                }
                _ => put(pair),
            }
        }
    }

    /// The same for a whole address, as in Referer and Location: for its query, and for its fragment, in which some
    /// protocols send tokens (RFC 6749, 4.2.2).
    pub fn mask_address(&self, address: &[u8], mut put: impl FnMut(&[u8])) {
        let cut = |text: &[u8], mark: u8| text.iter().position(|byte| *byte == mark);
        let (rest, fragment) = address.split_at(cut(address, b'#').unwrap_or(address.len()));
        let (before, query) = rest.split_at(cut(rest, b'?').unwrap_or(rest.len()));
        put(before);
        for part in [query, fragment] {
            if let Some((mark, pairs)) = part.split_first() {
                put(std::slice::from_ref(mark));
                self.mask_query(pairs, &mut put);
            }
        }
    }

    fn contains(&self, encoded: &[u8]) -> bool {
        let mut room = [0; MAX_NAME];
        let name = decode(encoded, &mut room);
        name.is_some_and(|name| self.0.iter().any(|known| known.as_bytes() == name))
    }
}

/// Percent-decodes into `room`, in lower case. None where it does not fit.
fn decode<'r>(encoded: &[u8], room: &'r mut [u8; MAX_NAME]) -> Option<&'r [u8]> {
    let mut length = 0;
    let mut rest = encoded;
    while let Some((first, after)) = rest.split_first() {
        let hex = |at: usize| char::from(*after.get(at)?).to_digit(16);
        let decoded = match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                rest = after.get(2..).unwrap_or_default();
                u8::try_from(high * 16 + low).unwrap_or(*first)
            }
            _ => {
                rest = after;
                *first
            }
        };
        *room.get_mut(length)? = decoded.to_ascii_lowercase();
        length += 1;
    }
    room.get(..length)
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[track_caller]
    fn check(query: &str, expected: &str) {
        let names = Names::new(vec!["Token".to_owned(), "password".to_owned()]);
        let mut found = Vec::new();
        names.mask_query(query.as_bytes(), |piece| found.extend_from_slice(piece));
        assert_eq!(String::from_utf8(found).unwrap(), expected);
        let mut found = Vec::new();
        names.mask_address(format!("http://a/?{query}").as_bytes(), |piece| {
            found.extend_from_slice(piece);
        });
        assert_eq!(
            String::from_utf8(found).unwrap(),
            format!("http://a/?{expected}")
        );
    }

    #[test]
    fn values_of_these_names_are_masked() {
        check("", "");
        check("a=1&token=abc&b=2", "a=1&token=***&b=2");
        check(
            "TOKEN=abc&%74oken=abc&tok%65n=",
            "TOKEN=***&%74oken=***&tok%65n=***",
        );
        check("password=a=b=c", "password=***");
        check(
            "tokens=1&tokentoken=2&x=token",
            "tokens=1&tokentoken=2&x=token",
        );
        check("token&=1&&%&%7&%zz=1", "token&=1&&%&%7&%zz=1");
        let long = format!("{}=1", "a".repeat(100));
        check(&long, &long);
    }

    #[test]
    fn fragments_are_masked_as_queries_are() {
        let names = Names::new(vec!["token".to_owned()]);
        for (address, expected) in [
            ("a#token=x", "a#token=***"),
            ("a?b=c#token=x&d=e", "a?b=c#token=***&d=e"),
            ("a?token=x?y#z", "a?token=***#z"),
        ] {
            let mut found = Vec::new();
            names.mask_address(address.as_bytes(), |piece| found.extend_from_slice(piece));
            assert_eq!(String::from_utf8(found).unwrap(), expected);
        }
    }

    #[test]
    fn an_address_without_a_query_stays() {
        let mut found = Vec::new();
        Names::default().mask_address(b"http://a/b", |piece| found.extend_from_slice(piece));
        assert_eq!(found, b"http://a/b");
    }
}
