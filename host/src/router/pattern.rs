//! What a route says about hosts and paths: parsed once, so that a pattern that exists is a pattern that can match.

mod host;
mod path;

pub(super) use host::HostKind;
pub use host::HostPattern;
pub use path::PathPattern;
pub(super) use path::{PathKind, Plain, Segment};

use super::path::PathError;

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
    /// `~` with nothing after it.
    #[error("the regular expression after '~' is empty; write one, or leave the entry out")]
    EmptyRegex,
    /// `~/users/(`.
    #[error("the regular expression '{text}' is broken at its character {at}: {reason}")]
    Regex {
        /// The expression, without `~`.
        text: String,
        /// Which character, counted from 1.
        at: usize,
        /// What is wrong there.
        reason: String,
    },
    /// `~/(\\w{1000}){1000}`.
    #[error(
        "the regular expression '{text}' takes more than {limit} bytes when it is compiled; make its repetitions or classes smaller"
    )]
    RegexSize {
        /// The expression, without `~`.
        text: String,
        /// The limit.
        limit: usize,
    },
    /// `~users`.
    #[error(
        "the regular expression '{0}' fits no path: it is compared from the start of the path, which is a '/'; begin it with '/'"
    )]
    RegexStart(String),
    /// Not a name of a header.
    #[error("'{0}' is not a name of a header; use letters, digits and '-'")]
    HeaderName(String),
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

#[cfg(test)]
mod tests {
    use std::fmt::Display;

    use super::PatternError;

    /// `expected` is the normal form, or a part of what is said of the text.
    #[track_caller]
    pub(super) fn check_parsed<T: Display>(
        text: &str,
        found: Result<T, PatternError>,
        expected: Result<&str, &str>,
    ) {
        let found = found
            .map(|pattern| pattern.to_string())
            .map_err(|error| error.to_string());
        match (&found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text:?}"),
            (Err(found), Err(part)) => {
                assert!(found.contains(part), "{text:?}: {found:?} without {part:?}");
            }
            _ => panic!("{text:?}: found {found:?}, expected {expected:?}"),
        }
    }
}
