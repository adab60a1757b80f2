//! What a route asks of a request besides host, path and method: headers, parameters of the query, cookies, addresses.
//!
//! Each condition holds or does not; all of a route's must. Values are bytes, not text: a header or a decoded query may
//! hold anything, and what is not UTF-8 simply fits no pattern that asks for characters.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use http::header::{COOKIE, HeaderName};
use ipnet::IpNet;
use regex_automata::meta;
use regex_automata::util::syntax;
use smallvec::SmallVec;

use super::pattern::PatternError;
use super::regex::{self, SIZE_LIMIT};
use super::table::Request;

/// A decoded name or value; most are short.
type Buffer = SmallVec<[u8; 64]>;

/// The further conditions of a route. Default: none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Headers that must be there; see [`FieldCondition::header`].
    pub headers: Vec<FieldCondition>,
    /// Parameters of the query, compared percent-decoded, with `+` for a space. A broken escape stands for itself.
    pub query: Vec<FieldCondition>,
    /// Cookies, as the client wrote them.
    pub cookies: Vec<FieldCondition>,
    /// Networks the client must be in; empty: any. IPv4 addresses written as IPv6 ones count as IPv4 as well.
    pub addresses: Vec<IpNet>,
}

impl Conditions {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// How many there are, for the order of choice: each header, parameter and cookie is one, all addresses are one.
    #[must_use]
    pub fn count(&self) -> usize {
        let addresses = usize::from(!self.addresses.is_empty());
        self.headers.len() + self.query.len() + self.cookies.len() + addresses
    }

    pub(super) fn hold(&self, request: &Request<'_>) -> bool {
        (self.addresses.is_empty() || self.admit(request.client))
            && self
                .headers
                .iter()
                .all(|one| one.in_headers(request.headers))
            && self.query.iter().all(|one| one.in_query(request.query))
            && self
                .cookies
                .iter()
                .all(|one| one.in_cookies(request.headers))
    }

    fn admit(&self, client: IpAddr) -> bool {
        let canonical = client.to_canonical();
        let holds = |net: &IpNet| net.contains(&client) || net.contains(&canonical);
        self.addresses.iter().any(holds)
    }
}

/// A header, a parameter or a cookie that must be there, with one of some values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldCondition {
    name: Name,
    values: Vec<ValuePattern>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Header(HeaderName),
    Text(Box<str>),
}

impl FieldCondition {
    /// A parameter of the query or a cookie; without values it must only be there. Upper and lower case differ.
    #[must_use]
    pub fn new(name: &str, values: Vec<ValuePattern>) -> Self {
        Self {
            name: Name::Text(name.into()),
            values,
        }
    }

    /// A header; without values it must only be there. It is looked at as plugins see it: headers of the connection are
    /// gone by then. Of a header that was sent more than once any value will do.
    ///
    /// # Errors
    /// The name is not one.
    pub fn header(name: &str, values: Vec<ValuePattern>) -> Result<Self, PatternError> {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| PatternError::HeaderName(name.to_owned()))?;
        Ok(Self {
            name: Name::Header(name),
            values,
        })
    }

    /// What must be there.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.name {
            Name::Header(name) => name.as_str(),
            Name::Text(name) => name,
        }
    }

    /// The values it may have; empty: any.
    #[must_use]
    pub fn values(&self) -> &[ValuePattern] {
        &self.values
    }

    fn in_headers(&self, headers: &HeaderMap) -> bool {
        let mut values = match &self.name {
            Name::Header(name) => headers.get_all(name),
            Name::Text(name) => headers.get_all(&**name),
        }
        .iter();
        values.any(|value| self.takes(value.as_bytes()))
    }

    fn in_query(&self, query: &str) -> bool {
        pairs(query).any(|(name, value)| {
            *decoded(name, &mut Buffer::new()) == *self.name().as_bytes()
                && (self.values.is_empty() || self.takes(decoded(value, &mut Buffer::new())))
        })
    }

    fn in_cookies(&self, headers: &HeaderMap) -> bool {
        cookies(headers).any(|(name, value)| *name == *self.name().as_bytes() && self.takes(value))
    }

    fn takes(&self, value: &[u8]) -> bool {
        self.values.is_empty() || self.values.iter().any(|pattern| pattern.fits(value))
    }
}

/// One value a field may have. Displays as it is written in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValuePattern(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Exact(Box<str>),
    Regex(Box<str>, Arc<meta::Regex>),
}

impl ValuePattern {
    /// Reads `text`, which is compared byte by byte, or `~regex`, which is searched anywhere in the value: write `^` and
    /// `$` where it should begin and end.
    ///
    /// # Errors
    /// Says what is wrong with the regular expression.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let Some(text) = text.strip_prefix('~') else {
            return Ok(Self(Kind::Exact(text.into())));
        };
        let hir = regex::parse(text, syntax::Config::new().utf8(false))?;
        let config = meta::Config::new()
            .utf8_empty(false)
            .nfa_size_limit(Some(SIZE_LIMIT));
        let regex = regex::compile(text, &hir, config)?;
        Ok(Self(Kind::Regex(text.into(), Arc::new(regex))))
    }

    pub(super) fn fits(&self, value: &[u8]) -> bool {
        match &self.0 {
            Kind::Exact(text) => *text.as_bytes() == *value,
            Kind::Regex(_, regex) => regex.is_match(value),
        }
    }
}

impl fmt::Display for ValuePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Exact(text) => f.write_str(text),
            Kind::Regex(text, _) => write!(f, "~{text}"),
        }
    }
}

/// The text is all there is to an expression.
impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(one), Self::Exact(two)) | (Self::Regex(one, _), Self::Regex(two, _)) => {
                one == two
            }
            _ => false,
        }
    }
}

impl Eq for Kind {}

/// Names and values of a query, as they are written.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Names and values of all cookies (RFC 6265, 5.4: `name=value` with `; ` between them); quotes are part of a value.
pub(super) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
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

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Method};

    use super::*;

    #[track_caller]
    fn check(kind: &str, name: &str, values: &[&str], from: &[&[u8]], expected: bool) {
        let values: Vec<ValuePattern> = values
            .iter()
            .map(|value| ValuePattern::parse(value).unwrap())
            .collect();
        let mut conditions = Conditions::default();
        let mut headers = HeaderMap::new();
        let mut query = "";
        let header = |bytes: &&[u8]| HeaderValue::from_bytes(bytes).unwrap();
        match kind {
            "header" => {
                conditions.headers = vec![FieldCondition::header(name, values).unwrap()];
                for value in from {
                    headers.append("x-v", header(value));
                }
            }
            "cookie" => {
                conditions.cookies = vec![FieldCondition::new(name, values)];
                for value in from {
                    headers.append(COOKIE, header(value));
                }
            }
            _ => {
                conditions.query = vec![FieldCondition::new(name, values)];
                query = std::str::from_utf8(from[0]).unwrap();
            }
        }
        let request = Request {
            host: "h",
            path: "/",
            method: &Method::GET,
            headers: &headers,
            query,
            client: IpAddr::from([127, 0, 0, 1]),
        };
        assert_eq!(conditions.hold(&request), expected, "{name} {from:?}");
        assert_eq!(conditions.count(), 1);
    }

    #[test]
    fn headers() {
        check("header", "X-V", &["a", "b"], &[b"c", b"b"], true);
        check("header", "x-v", &["a"], &[b"A"], false);
        check("header", "x-v", &[], &[b""], true);
        check("header", "x-v", &[], &[], false);
        check("header", "x-other", &[], &[b"a"], false);
        check("header", "x-v", &["~^v[0-9]+$"], &[b"v12"], true);
        check("header", "x-v", &["~v[0-9]"], &[b"a v1 b"], true);
        check("header", "x-v", &["~^.$"], &[b"\xff"], false);
        check("header", "x-v", &["~(?-u)^.$"], &[b"\xff"], true);
        check("header", "x-v", &["~b"], &[b"\xffb\xfe"], true);
        let error = FieldCondition::header("x v", Vec::new()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("'x v' is not a name of a header")
        );
    }

    #[test]
    fn queries() {
        check("query", "a", &["1"], &[b"b=2&a=0&a=1"], true);
        check("query", "a b", &["ä c"], &[b"a+b=%c3%A4%20c"], true);
        check("query", "a", &["%zz%4"], &[b"a=%zz%4"], true);
        check("query", "a", &["%1"], &[b"a=%251"], true);
        check("query", "a", &["%+2"], &[b"a=%%2b2"], true);
        check("query", "a", &[], &[b"&&a"], true);
        check("query", "a", &[""], &[b"a"], true);
        check("query", "a", &["b=c"], &[b"a=b=c"], true);
        check("query", "", &[], &[b"&&"], false);
        check("query", "a", &["~^.$"], &[b"a=%ff"], false);
        check("query", "A", &[], &[b"a=1"], false);
    }

    #[test]
    fn cookies_of_all_fields() {
        check("cookie", "b", &["2"], &[b"a=1; b=2"], true);
        check("cookie", "b", &["2"], &[b"a=1", b"b=0;b=2 ; c"], true);
        check("cookie", "b", &["\"2\""], &[b"b=\"2\""], true);
        check("cookie", "B", &[], &[b"b=2"], false);
        check("cookie", "b", &[], &[b"b"], false);
        check("cookie", "b", &["x=y"], &[b"b=x=y"], true);
        check("cookie", "b", &["~^\\w$"], &[b"b=\xff"], false);
    }

    #[test]
    fn addresses() {
        let conditions = Conditions {
            addresses: vec![
                "10.0.0.0/8".parse().unwrap(),
                "2001:db8::/32".parse().unwrap(),
            ],
            ..Conditions::default()
        };
        for (client, expected) in [
            ("10.1.2.3", true),
            ("11.1.2.3", false),
            ("::ffff:10.1.2.3", true),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(
                conditions.admit(client.parse().unwrap()),
                expected,
                "{client}"
            );
        }
    }

    #[test]
    fn values_say_what_is_wrong() {
        let text = |value: &str| ValuePattern::parse(value).map(|value| value.to_string());
        assert_eq!(text("~^a$").as_deref(), Ok("~^a$"));
        assert_eq!(text("a~").as_deref(), Ok("a~"));
        assert!(text("~a[").unwrap_err().to_string().contains("character 2"));
        assert_eq!(text("~"), Err(PatternError::EmptyRegex));
    }
}
