//! The normal form of a path, and that what was matched is what is forwarded.

use std::borrow::Cow;

use http::Uri;
use swapgate::door;
use swapgate::exchange::ingress;
use swapgate::router::path::normalize;
use swapgate::snapshot::ForwardPath;
use swapgate::snapshot::leads::{self, ForwardedPath};

use crate::input::Input;

/// The first byte says whether slashes are merged and how much of the path a route takes off; the path follows.
pub fn path(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let merge = flags & 1 == 1;
    let raw = String::from_utf8_lossy(input.rest());
    let found = normalize(&raw, merge);
    let wanted = segments(raw.as_bytes()).and_then(|segments| resolved(segments, merge));
    assert_eq!(found.is_ok(), wanted.is_some(), "{raw:?}: {found:?}");
    if let Ok(uri) = raw.parse::<Uri>()
        && uri.path() != "*"
    {
        let read = ingress::path(&uri, merge).map(Cow::into_owned).ok();
        let same = normalize(uri.path(), merge).map(Cow::into_owned).ok();
        assert_eq!(read, same, "{raw:?}");
    }
    let (Ok(normal), Some(wanted)) = (found, wanted) else {
        return;
    };
    is_normal(&normal, merge);
    assert_eq!(segments(normal.as_bytes()), Some(wanted), "{raw:?}");
    forwarded(&normal, merge, usize::from(flags >> 1));
}

fn is_normal(normal: &str, merge: bool) {
    assert!(normal.starts_with('/'), "{normal:?}");
    assert!(
        normal.bytes().all(|byte| byte.is_ascii_graphic()),
        "{normal:?}"
    );
    assert!(!normal.contains(['\\', '?', '#']), "{normal:?}");
    assert!(!merge || !normal.contains("//"), "{normal:?}");
    for segment in normal.split('/') {
        assert!(!matches!(segment, "." | ".."), "{normal:?}");
        assert!(!segment.starts_with("..;"), "{normal:?}");
    }
    let again = normalize(normal, merge);
    assert!(
        matches!(&again, Ok(Cow::Borrowed(same)) if *same == normal)
            || again.as_deref() == Ok(normal),
        "{normal:?} became {again:?}"
    );
}

/// What a route that takes `take` bytes off forwards is in normal form, and goes out as it is.
fn forwarded(normal: &str, merge: bool, take: usize) {
    let take = take.min(normal.len());
    let led = leads::path(&ForwardPath::Strip, (normal, take), merge, |_| {
        String::new()
    });
    let path = match led {
        Ok(ForwardedPath::From(start)) => normal.get(start..).unwrap_or("/").to_owned(),
        Ok(ForwardedPath::Other(path)) => path,
        Err(_) => return,
    };
    let target = door::forwarded_target(&path, "a=b").expect("a normal path is a target");
    let (before, query) = target.as_str().split_once('?').expect("it has a query");
    assert_eq!((before, query), (target.path(), "a=b"));
    is_normal(before, merge);
    assert!(normal.ends_with(before) || before == "/" || normal.ends_with(&before[1..]));
}

/// A byte, and whether it stood as an escape that stays one.
type Unit = (u8, bool);

/// The segments of a path with everything decoded; none where it has two readings.
fn segments(path: &[u8]) -> Option<Vec<Vec<Unit>>> {
    let rest = path.strip_prefix(b"/")?;
    rest.split(|byte| *byte == b'/').map(decoded).collect()
}

fn decoded(segment: &[u8]) -> Option<Vec<Unit>> {
    let mut units = Vec::new();
    let mut at = 0;
    while let Some(byte) = segment.get(at) {
        if *byte == b'%' {
            let digits = std::str::from_utf8(segment.get(at + 1..at + 3)?).ok()?;
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            let code = u8::from_str_radix(digits, 16).ok()?;
            if matches!(code, 0 | b'/' | b'\\') {
                return None;
            }
            let plain = code.is_ascii_alphanumeric() || b"-._~".contains(&code);
            units.push((code, !plain));
            at += 3;
        } else if byte.is_ascii_graphic() && !b"\\#?<>`".contains(byte) {
            units.push((*byte, false));
            at += 1;
        } else {
            return None;
        }
    }
    Some(units)
}

/// RFC 3986, 5.2.4, over whole segments.
fn resolved(segments: Vec<Vec<Unit>>, merge: bool) -> Option<Vec<Vec<Unit>>> {
    const DOT: Unit = (b'.', false);
    const SEMICOLON: Unit = (b';', false);
    let mut stack = Vec::new();
    let count = segments.len();
    for (index, segment) in segments.into_iter().enumerate() {
        let last = index + 1 == count;
        match &*segment {
            [DOT] => {}
            [DOT, DOT] => drop(stack.pop()?),
            [DOT, SEMICOLON, ..] | [DOT, DOT, SEMICOLON, ..] => return None,
            [] if merge || last => {}
            _ => {
                stack.push(segment);
                if last {
                    return Some(stack);
                }
            }
        }
    }
    stack.push(Vec::new());
    Some(stack)
}
