//! A request line: the path and the names in the query.

use std::fmt::Write as _;

use super::visible::{escaped, until_control};
use super::{HIDDEN, NAME};

/// Most bytes of a request line.
const LINE: usize = 512;

/// The line, if it looks like that of a request.
pub(super) fn request_line(line: &[u8]) -> Option<String> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let (method, rest) = line.split_at(line.iter().position(blank)?);
    let is_method = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_');
    if method.is_empty() || method.len() > 20 || !method.iter().all(is_method) {
        return None;
    }
    let rest = rest.trim_ascii_start();
    let scheme = rest.split(|byte| *byte == b':').next().unwrap_or_default();
    let absolute = rest.get(scheme.len()..)?.starts_with(b"://")
        && scheme.len() <= 16
        && scheme.iter().all(u8::is_ascii_alphanumeric);
    let is_target = rest.starts_with(b"/") || rest.starts_with(b"*") || absolute;
    if !is_target && !method.eq_ignore_ascii_case(b"CONNECT") {
        return None;
    }
    let rest = rest.strip_suffix(b"\r").unwrap_or(rest);
    let (target, version) = match rest.windows(6).rposition(|part| part == b" HTTP/") {
        Some(at) => rest.split_at(at),
        None => (rest, &[][..]),
    };
    let mut shown = format!("{} {}", escaped(method, 20), redacted(target));
    if is_version(version) {
        shown.push_str(&escaped(version, 16));
    } else if !version.is_empty() {
        shown.push_str(" HTTP/");
        shown.push_str(HIDDEN);
    }
    Some(shown)
}

fn is_version(text: &[u8]) -> bool {
    let number = text.strip_prefix(b" HTTP/").unwrap_or_default();
    let plain = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    (1..=4).contains(&number.len()) && number.iter().all(plain)
}

/// A target without userinfo, fragment, and what the query says.
fn redacted(target: &[u8]) -> String {
    let anonymous = without_userinfo(target);
    let target = anonymous.as_slice();
    let whole = until_control(target);
    let end = whole.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let (path, rest) = whole.split_at(end.unwrap_or(whole.len()));
    let mut shown = escaped(path, LINE / 2);
    if let Some(query) = rest.strip_prefix(b"?") {
        let query = query.split(|byte| *byte == b'#').next().unwrap_or_default();
        shown.push('?');
        for (at, pair) in query.split(|byte| *byte == b'&').enumerate() {
            if shown.len() > LINE {
                shown.push_str("...");
                break;
            }
            if at > 0 {
                shown.push('&');
            }
            // What has no value may be one: a token is often all of a query.
            if let Some(equals) = pair.iter().position(|byte| *byte == b'=') {
                let name = pair.get(..equals).unwrap_or_default();
                let _ = write!(shown, "{}=", escaped(name, NAME));
            }
            shown.push_str(HIDDEN);
        }
    }
    if whole.len() < target.len() {
        // Where the control byte stands is what is wrong with it; what follows is not shown.
        let control = target.get(whole.len()..whole.len() + 1).unwrap_or_default();
        let _ = write!(shown, "{}...", control.escape_ascii());
    }
    shown
}

/// What stands before an `@` in the authority is a name and a password. Either may hold what would end an authority, and whoever
/// sends it so thinks of it as part of them: so all that stands before the last `@` is hidden, wherever that is.
fn without_userinfo(path: &[u8]) -> Vec<u8> {
    let scheme = path.iter().position(|byte| !byte.is_ascii_alphanumeric());
    let authority = match scheme {
        Some(at) if path.get(at..).is_some_and(|rest| rest.starts_with(b"://")) => at + 3,
        _ if path.starts_with(b"/") || path.starts_with(b"*") => return path.to_vec(),
        _ => 0,
    };
    let (scheme, rest) = path.split_at(authority);
    let mut shown = scheme.to_vec();
    shown.extend_from_slice(&host_alone(rest));
    shown
}

pub(super) fn host_alone(host: &[u8]) -> Vec<u8> {
    match host.iter().rposition(|byte| *byte == b'@') {
        Some(at) => [HIDDEN.as_bytes(), host.get(at..).unwrap_or_default()].concat(),
        None => host.to_vec(),
    }
}
