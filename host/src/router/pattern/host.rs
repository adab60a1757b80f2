//! One entry of `hosts`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::PatternError;

/// One entry of `hosts`. Displays as its normal form: lower case, IPv6 addresses in their shortest form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    pub(in crate::router) kind: HostKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::router) enum HostKind {
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
        let port = |(name, port): (&str, &str)| !name.contains(':') && is_port(port);
        if text
            .rfind(':')
            .and_then(|colon| text.split_at_checked(colon))
            .is_some_and(port)
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

impl HostPattern {
    /// Whether a name fits, which is in lower case and has no trailing dot.
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        match &self.kind {
            HostKind::Exact(own) => **own == *name,
            HostKind::V6(own) => name.parse() == Ok(*own),
            HostKind::Wildcard(suffix) => name
                .strip_suffix(&**suffix)
                .and_then(|before| before.strip_suffix('.'))
                .is_some_and(|label| !label.is_empty()),
        }
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
    use crate::router::pattern::tests::check_parsed;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        check_parsed(text, HostPattern::parse(text), expected);
    }

    #[test]
    fn hosts() {
        check("API.Example.com", Ok("api.example.com"));
        check("example.com.", Ok("example.com"));
        check("*.Example.org", Ok("*.example.org"));
        check("localhost", Ok("localhost"));
        check("my_service", Ok("my_service"));
        check("192.0.2.1", Ok("192.0.2.1"));
        check("[0:0::1]", Ok("[::1]"));
        check("", Err("empty"));
        check("example.com:80", Err("without the port"));
        check("[::1]:80", Err("without the port"));
        check("*", Err("only a leading '*.'"));
        check("a.*.example.com", Err("only a leading '*.'"));
        check("*.", Err("only a leading '*.'"));
        check("*..", Err("not a host"));
        check("api*.example.com", Err("only a leading '*.'"));
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
            check(bad, Err("not a host"));
        }
    }
}
