//! What a route says about hosts and paths: parsed once, so that a pattern that exists is a pattern that can match.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::path::{self, PathError};

/// Why a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing between the quotes.
    #[error("the pattern is empty; leave the key out to match everything")]
    Empty,
    /// `example.com:8080`.
    #[error("the host '{0}' has a port; routes match the name alone, so write it without the port")]
    Port(String),
    /// `*` anywhere but as the first label.
    #[error(
        "the host '{0}' has '*' where it cannot stand; only a leading '*.' is a wildcard, as in '*.example.org'"
    )]
    Wildcard(String),
    /// Not a host name, an IPv4 address or an IPv6 address in brackets.
    #[error(
        "'{0}' is not a host; write a name such as 'api.example.com', '*.example.org', an IPv4 address or an IPv6 address in brackets"
    )]
    Host(String),
    /// `~...`.
    #[error(
        "regular expressions are not supported yet; write a prefix such as '/users/{{id}}', or '=/users' for exactly one path"
    )]
    Regex,
    /// Two slashes in a row.
    #[error("the path '{0}' has an empty segment; write one slash between segments")]
    EmptySegment(String),
    /// `/img-{id}.png` and broken braces.
    #[error(
        "the segment '{0}' mixes text and braces; a parameter takes a whole segment, as in '/users/{{id}}'"
    )]
    PartialParameter(String),
    /// `{}`, `{a b}`, `{*rest}`.
    #[error(
        "'{0}' is not a parameter name; use letters, digits, '_' and '-' (a plain path matches everything below it without '*')"
    )]
    ParameterName(String),
    /// The same name twice.
    #[error("the parameter '{0}' occurs twice in one path; give each its own name")]
    RepeatedParameter(String),
    /// Not a path at all.
    #[error("'{text}' is not a path that can be matched")]
    Path {
        /// What was written.
        text: String,
        /// What is wrong with it.
        #[source]
        source: PathError,
    },
}

/// One entry of `hosts`. Displays as its normal form: lower case, IPv6 addresses in their shortest form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    pub(super) kind: HostKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostKind {
    /// A name or an IPv4 address, as text.
    Exact(Box<str>),
    /// Compared as an address, because one address has many spellings.
    V6(Ipv6Addr),
    /// What follows `*.`.
    Wildcard(Box<str>),
}

impl HostPattern {
    /// Reads `api.example.com`, `*.example.org` (one or more labels before it), `192.0.2.1` or `[::1]`. Upper case and a
    /// trailing dot do not matter.
    ///
    /// # Errors
    /// Says what is not a host, a port included.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        let refused = || PatternError::Host(text.to_owned());
        if let Some(rest) = text.strip_prefix('[') {
            let (address, after) = rest.split_once(']').ok_or_else(refused)?;
            let address = address.parse().map_err(|_| refused())?;
            return match after {
                "" => Ok(Self {
                    kind: HostKind::V6(address),
                }),
                _ if is_port(after) => Err(PatternError::Port(text.to_owned())),
                _ => Err(refused()),
            };
        }
        if text
            .rfind(':')
            .is_some_and(|colon| !text[..colon].contains(':') && is_port(&text[colon..]))
        {
            return Err(PatternError::Port(text.to_owned()));
        }
        let lower = text.to_ascii_lowercase();
        let lower = lower.strip_suffix('.').unwrap_or(&lower);
        let (name, wildcard) = lower
            .strip_prefix("*.")
            .map_or((lower, false), |name| (name, true));
        if name.contains('*') {
            return Err(PatternError::Wildcard(text.to_owned()));
        }
        if !is_name(name, wildcard) {
            return Err(refused());
        }
        let kind = if wildcard {
            HostKind::Wildcard
        } else {
            HostKind::Exact
        };
        Ok(Self {
            kind: kind(name.into()),
        })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            HostKind::Exact(name) => f.write_str(name),
            HostKind::V6(address) => write!(f, "[{address}]"),
            HostKind::Wildcard(name) => write!(f, "*.{name}"),
        }
    }
}

/// One entry of `paths`. Displays as its normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    pub(super) segments: Vec<Segment>,
    /// Nothing may follow.
    pub(super) exact: bool,
    /// A slash must follow the segments.
    pub(super) slash: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(Box<str>),
    Parameter(Box<str>),
}

impl PathPattern {
    /// Reads `/users/{id}` (that path and everything below it, by whole segments) or `=/users/{id}` (that path alone).
    /// `{name}` takes exactly one segment that is not empty. `/users/` asks for the slash: it does not match `/users`.
    ///
    /// # Errors
    /// Says what is not a path, what a parameter cannot be, and that regular expressions do not exist yet.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.starts_with('~') {
            return Err(PatternError::Regex);
        }
        let (raw, exact) = text
            .strip_prefix('=')
            .map_or((text, false), |raw| (raw, true));
        if raw.is_empty() {
            return Err(PatternError::Empty);
        }
        if raw.contains("//") {
            return Err(PatternError::EmptySegment(text.to_owned()));
        }
        let refused = |source| PatternError::Path {
            text: text.to_owned(),
            source,
        };
        let normal = path::normalize(raw, false).map_err(refused)?;
        let inner = normal.strip_prefix('/').unwrap_or(&normal);
        let (inner, slash) = inner
            .strip_suffix('/')
            .map_or((inner, inner.is_empty()), |inner| (inner, true));
        let mut pattern = Self {
            segments: Vec::new(),
            exact,
            // The prefix `/` asks for nothing: every path begins with it.
            slash: slash && (exact || !inner.is_empty()),
        };
        for segment in inner.split('/').filter(|segment| !segment.is_empty()) {
            let segment = Segment::parse(segment)?;
            if let Segment::Parameter(name) = &segment
                && pattern.segments.contains(&segment)
            {
                return Err(PatternError::RepeatedParameter(name.to_string()));
            }
            pattern.segments.push(segment);
        }
        Ok(pattern)
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.exact {
            f.write_str("=")?;
        }
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Parameter(name) => write!(f, "/{{{name}}}")?,
            }
        }
        if self.slash || self.segments.is_empty() {
            f.write_str("/")?;
        }
        Ok(())
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, PatternError> {
        if !text.contains(['{', '}']) {
            return Ok(Self::Literal(text.into()));
        }
        let inner = text
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        match inner {
            Some(name) if !name.contains(['{', '}']) => {
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
                if name.is_empty() || !name.bytes().all(fits) {
                    return Err(PatternError::ParameterName(text.to_owned()));
                }
                Ok(Self::Parameter(name.into()))
            }
            _ => Err(PatternError::PartialParameter(text.to_owned())),
        }
    }
}

/// Whether this is a colon with digits, or a lone colon.
fn is_port(text: &str) -> bool {
    text.strip_prefix(':')
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Labels of letters, digits, `-` and `_` (which DNS names of services do have); where the last one is a number, the
/// whole must be an IPv4 address, and no wildcard stands before that.
fn is_name(name: &str, wildcard: bool) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(fits)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let number = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if number {
        return !wildcard && name.parse::<Ipv4Addr>().is_ok();
    }
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_host(text: &str, expected: Result<&str, &str>) {
        let found = HostPattern::parse(text)
            .map(|host| host.to_string())
            .map_err(|error| error.to_string());
        compare(text, &found, expected);
    }

    #[track_caller]
    fn check_path(text: &str, expected: Result<&str, &str>) {
        let found = PathPattern::parse(text)
            .map(|path| path.to_string())
            .map_err(|error| error.to_string());
        compare(text, &found, expected);
    }

    #[track_caller]
    fn compare(text: &str, found: &Result<String, String>, expected: Result<&str, &str>) {
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text:?}"),
            (Err(found), Err(part)) => {
                assert!(found.contains(part), "{text:?}: {found:?} without {part:?}");
            }
            _ => panic!("{text:?}: found {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn hosts() {
        check_host("API.Example.com", Ok("api.example.com"));
        check_host("example.com.", Ok("example.com"));
        check_host("*.Example.org", Ok("*.example.org"));
        check_host("localhost", Ok("localhost"));
        check_host("my_service", Ok("my_service"));
        check_host("192.0.2.1", Ok("192.0.2.1"));
        check_host("[0:0::1]", Ok("[::1]"));
        check_host("", Err("empty"));
        check_host("example.com:80", Err("without the port"));
        check_host("[::1]:80", Err("without the port"));
        check_host("*", Err("only a leading '*.'"));
        check_host("a.*.example.com", Err("only a leading '*.'"));
        check_host("*.", Err("only a leading '*.'"));
        check_host("*..", Err("not a host"));
        check_host("api*.example.com", Err("only a leading '*.'"));
        for bad in [
            "::1",
            "[::1",
            "[::g]",
            "a..b",
            ".a",
            "-a.b",
            "a b",
            "192.0.2.300",
            "*.2.1",
            "ä.de",
            "a/b",
        ] {
            check_host(bad, Err("not a host"));
        }
    }

    #[test]
    fn paths() {
        check_path("/", Ok("/"));
        check_path("=/", Ok("=/"));
        check_path("/users", Ok("/users"));
        check_path("/users/", Ok("/users/"));
        check_path("=/users/{id}", Ok("=/users/{id}"));
        check_path("/{a}/b/{c-d}/", Ok("/{a}/b/{c-d}/"));
        check_path("/%7euser/%c3%a4/./x", Ok("/~user/%C3%A4/x"));
        check_path(
            "~/users/[0-9]+",
            Err("regular expressions are not supported yet"),
        );
        check_path("", Err("empty"));
        check_path("=", Err("empty"));
        check_path("users", Err("not a path"));
        check_path("/a//b", Err("empty segment"));
        check_path("/a%2fb", Err("not a path"));
        check_path("/a?x=1", Err("not a path"));
        check_path("/img-{id}.png", Err("whole segment"));
        check_path("/{a}{b}", Err("whole segment"));
        check_path("/{a", Err("whole segment"));
        check_path("/{}", Err("not a parameter name"));
        check_path("/{*rest}", Err("not a parameter name"));
        check_path("/{id}/x/{id}", Err("occurs twice"));
    }
}
