//! The one normal form of a path.
//!
//! A path is brought into this form once, before anything looks at it; routes, plugins and the upstream then all see the
//! same text. Two servers that read one path differently are how access rules get bypassed, so whatever has two readings
//! (an escaped slash, a backslash, a dot segment above the root) is refused instead of guessed.
//!
//! The normal form: escapes of unreserved characters (RFC 3986, 2.3) are decoded, all others have upper-case digits; dot
//! segments are gone (RFC 3986, 5.2.4, after decoding, so `%2e%2e` counts); repeated slashes are one where the
//! configuration says so. Normalising a normal path changes nothing.

use std::borrow::Cow;

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not begin with a slash.
    #[error("the path does not start with '/'")]
    NotAbsolute,
    /// `%` without two hexadecimal digits.
    #[error(
        "the path has a broken escape at byte {at}: '%' must be followed by two hexadecimal digits"
    )]
    BrokenEscape {
        /// Offset of the `%`.
        at: usize,
    },
    /// An escape that servers read in different ways.
    #[error(
        "the path has the ambiguous escape %{code:02X} at byte {at}, which servers read in different ways"
    )]
    AmbiguousEscape {
        /// The byte it stands for.
        code: u8,
        /// Offset of the `%`.
        at: usize,
    },
    /// A byte that must not stand in a path as it is.
    #[error(
        "the path has the byte 0x{byte:02X} at byte {at}, which must be percent-encoded or is not allowed in a path"
    )]
    BadByte {
        /// The byte.
        byte: u8,
        /// Its offset.
        at: usize,
    },
    /// More `..` than segments before them.
    #[error("the path climbs above its root with '..'")]
    AboveRoot,
    /// `..;x`, which some servers read as `..` and others as a name.
    #[error(
        "the path has a dot segment with parameters ('..;'), which servers read in different ways"
    )]
    DotParameters,
}

/// Normal form of a request path, once, before routing; what is matched is what is forwarded.
///
/// Borrows when the path is normal already, which one pass over its bytes finds out.
///
/// # Errors
/// Refuses what does not start with `/`, ambiguous escapes (`%2f`, `%5c`, `%00`), broken escapes, backslashes, control
/// and non-ASCII bytes, spaces, `#`, `?`, and dot segments that climb above the root or carry parameters.
pub fn normalize(raw: &str, merge_slashes: bool) -> Result<Cow<'_, str>, PathError> {
    if is_normal(raw.as_bytes(), merge_slashes) {
        return Ok(Cow::Borrowed(raw));
    }
    rebuild(raw, merge_slashes).map(Cow::Owned)
}

/// Whether a path is surely normal. Says no to everything that needs a closer look, errors included.
fn is_normal(path: &[u8], merge_slashes: bool) -> bool {
    let mut before = 0;
    for (at, &byte) in path.iter().enumerate() {
        let plain = match byte {
            b'/' => !(merge_slashes && before == b'/'),
            // Any segment that opens with a dot is rare enough to be taken apart.
            b'.' => before != b'/',
            b'%' => {
                matches!(path.get(at + 1..at + 3), Some(&[high, low]) if keeps_escape(high, low))
            }
            _ => is_allowed(byte),
        };
        if !plain {
            return false;
        }
        before = byte;
    }
    path.first() == Some(&b'/')
}

/// Whether `%` and these two digits stay as they are.
fn keeps_escape(high: u8, low: u8) -> bool {
    let upper = |digit: u8| matches!(digit, b'0'..=b'9' | b'A'..=b'F');
    upper(high)
        && upper(low)
        && escaped(high, low).is_some_and(|code| !is_unreserved(code) && !is_ambiguous(code))
}

fn rebuild(raw: &str, merge_slashes: bool) -> Result<String, PathError> {
    let rest = raw.strip_prefix('/').ok_or(PathError::NotAbsolute)?;
    let mut path = String::with_capacity(raw.len());
    let mut at = 1;
    let mut segments = rest.split('/').peekable();
    path.push('/');
    while let Some(raw_segment) = segments.next() {
        // `path` always ends with the slash before this segment.
        let start = path.len();
        decode(raw_segment, at, &mut path)?;
        at += raw_segment.len() + 1;
        let last = segments.peek().is_none();
        match path.get(start..).unwrap_or_default() {
            "." => path.truncate(start),
            ".." => climb(&mut path, start)?,
            segment if segment.starts_with(".;") || segment.starts_with("..;") => {
                return Err(PathError::DotParameters);
            }
            "" if merge_slashes => {}
            _ if last => {}
            _ => path.push('/'),
        }
    }
    Ok(path)
}

/// Takes back `..`, the segment before it, and that segment's slash.
fn climb(path: &mut String, start: usize) -> Result<(), PathError> {
    path.truncate(start - 1);
    let parent = path.rfind('/').ok_or(PathError::AboveRoot)?;
    path.truncate(parent + 1);
    Ok(())
}

/// Appends one segment with its escapes in normal form; `offset` is where it starts, for errors.
fn decode(segment: &str, offset: usize, path: &mut String) -> Result<(), PathError> {
    let mut bytes = segment.bytes().enumerate();
    while let Some((index, byte)) = bytes.next() {
        let at = offset + index;
        if byte != b'%' {
            if !is_allowed(byte) {
                return Err(PathError::BadByte { byte, at });
            }
            path.push(char::from(byte));
            continue;
        }
        let digits = (bytes.next(), bytes.next());
        let (Some((_, high)), Some((_, low))) = digits else {
            return Err(PathError::BrokenEscape { at });
        };
        let code = escaped(high, low).ok_or(PathError::BrokenEscape { at })?;
        if is_ambiguous(code) {
            return Err(PathError::AmbiguousEscape { code, at });
        } else if is_unreserved(code) {
            path.push(char::from(code));
        } else {
            path.push('%');
            path.push(char::from(high.to_ascii_uppercase()));
            path.push(char::from(low.to_ascii_uppercase()));
        }
    }
    Ok(())
}

fn escaped(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    Some(digit(high)? << 4 | digit(low)?)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Slash, backslash and the end of a C string.
fn is_ambiguous(code: u8) -> bool {
    matches!(code, b'/' | b'\\' | 0)
}

/// Visible ASCII that may stand in a path unescaped. More than RFC 3986 admits (`{`, `|`, `"`, ...), because clients do
/// send those and nobody reads them in two ways. Not `<`, `>` and the backtick: no request brings them, for `http` does
/// not admit them in a target, so a path with one of them that a plugin or a template made could not be sent.
fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#' | b'?' | b'%' | b'<' | b'>' | b'`')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(raw: &str, expected: Result<&str, PathError>) {
        for merge in [true, false] {
            let found = normalize(raw, merge);
            assert_eq!(
                found.as_deref(),
                expected.as_deref(),
                "{raw:?}, merge {merge}"
            );
        }
    }

    #[track_caller]
    fn check_slashes(raw: &str, merged: &str, kept: &str) {
        assert_eq!(
            normalize(raw, true).as_deref(),
            Ok(merged),
            "{raw:?} merged"
        );
        assert_eq!(normalize(raw, false).as_deref(), Ok(kept), "{raw:?} kept");
    }

    #[test]
    fn normal_paths_are_borrowed() {
        for path in [
            "/",
            "/a",
            "/a/",
            "/a/b.c",
            "/a/b..",
            "/a%20b",
            "/%C3%A4",
            "/a;b=c,d/@:!$&'()*+=~",
        ] {
            assert!(
                matches!(normalize(path, true), Ok(Cow::Borrowed(text)) if text == path),
                "{path}"
            );
        }
    }

    #[test]
    fn escapes_get_one_form() {
        check("/%7euser/%41%2d%2E%5f", Ok("/~user/A-._"));
        check("/a%c3%a4%3a", Ok("/a%C3%A4%3A"));
        check("/%252e%252e/x", Ok("/%252e%252e/x"));
        check("/.hidden/..a/...", Ok("/.hidden/..a/..."));
    }

    #[test]
    fn dot_segments_go() {
        check("/a/./b", Ok("/a/b"));
        check("/a/.", Ok("/a/"));
        check("/a/..", Ok("/"));
        check("/a/b/../c", Ok("/a/c"));
        check("/a/b/..", Ok("/a/"));
        check("/a/%2e%2E/b", Ok("/b"));
        check("/a/.%2e/b/%2e", Ok("/b/"));
        check("/./.", Ok("/"));
        check("/..", Err(PathError::AboveRoot));
        check("/a/../../b", Err(PathError::AboveRoot));
        check("/%2e%2e/b", Err(PathError::AboveRoot));
        check("/a/..;x/b", Err(PathError::DotParameters));
        check("/a/%2e;/b", Err(PathError::DotParameters));
    }

    #[test]
    fn slashes_merge_when_told() {
        check_slashes("//", "/", "//");
        check_slashes("//a///b//", "/a/b/", "//a///b//");
        check_slashes("/a//../b", "/b", "/a/b");
        check_slashes("/a/.//b", "/a/b", "/a//b");
        check_slashes("/a/..//b", "/b", "//b");
    }

    #[test]
    fn ambiguous_and_broken_paths_are_refused() {
        check("", Err(PathError::NotAbsolute));
        check("a/b", Err(PathError::NotAbsolute));
        check("*", Err(PathError::NotAbsolute));
        check(
            "/a%2fb",
            Err(PathError::AmbiguousEscape { code: b'/', at: 2 }),
        );
        check(
            "/a/%5C",
            Err(PathError::AmbiguousEscape { code: b'\\', at: 3 }),
        );
        check("/%00", Err(PathError::AmbiguousEscape { code: 0, at: 1 }));
        for broken in ["/%", "/%4", "/%g0", "/%4/a", "/%%41"] {
            check(broken, Err(PathError::BrokenEscape { at: 1 }));
        }
        for byte in [
            b'\\', b'#', b'?', b' ', b'\t', b'\n', 0, 0x7f, b'<', b'>', b'`',
        ] {
            check(
                &format!("/{}", char::from(byte)),
                Err(PathError::BadByte { byte, at: 1 }),
            );
        }
        // What is allowed is what a target admits, so that a normal path can always be sent.
        for byte in (b'!'..=b'~').filter(|byte| !b"#%?\\".contains(byte)) {
            let path = format!("/{}", char::from(byte));
            let sent: Result<http::uri::PathAndQuery, _> = path.parse();
            assert_eq!(normalize(&path, true).is_ok(), sent.is_ok(), "{path}");
        }
        check("/ä", Err(PathError::BadByte { byte: 0xc3, at: 1 }));
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(raw in "/([a.;/%{ ]|%2[0-9eEfF]|%[0-9a-f]{2}|/\\.\\.?/?){0,12}", merge: bool) {
            if let Ok(once) = normalize(&raw, merge) {
                let once = once.into_owned();
                prop_assert!(once.starts_with('/'));
                prop_assert!(!once.split('/').any(|segment| segment == "." || segment == ".."));
                prop_assert!(!merge || !once.contains("//"));
                let twice = normalize(&once, merge);
                prop_assert_eq!(twice.as_deref(), Ok(once.as_str()));
            }
        }

        #[test]
        fn no_text_makes_it_panic(raw in "/?\\PC{0,20}", merge: bool) {
            let _ = normalize(&raw, merge);
        }
    }
}
