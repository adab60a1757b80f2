//! The fields of a head: their names, and the values of those that say how a message is to be read.

use std::fmt::Write as _;

use super::line::host_alone;
use super::visible::{escaped, is_control, until_control};
use super::{HIDDEN, NAME};

/// Most bytes of a field.
const FIELD: usize = 160;

/// A line of a head.
pub(super) fn field(line: &[u8]) -> String {
    if line
        .first()
        .is_some_and(|byte| matches!(byte, b' ' | b'\t'))
    {
        return "(a folded line)".to_owned();
    }
    match line.iter().position(|byte| *byte == b':') {
        Some(at) => {
            let (name, value) = line.split_at(at);
            named(name, value.get(1..).unwrap_or_default())
        }
        None => "(a line without a colon)".to_owned(),
    }
}

pub(super) fn named(name: &[u8], value: &[u8]) -> String {
    let shown = escaped(name, NAME);
    let value = value.trim_ascii();
    let lower = name.trim_ascii().to_ascii_lowercase();
    let room = FIELD.saturating_sub(shown.len());
    match &*lower {
        b"host" => format!(
            "{shown}: {}",
            value_of(until_control(&host_alone(value)), value, room)
        ),
        name if is_harmless(name) => {
            format!("{shown}: {}", value_of(until_control(value), value, room))
        }
        _ => format!("{shown}: {HIDDEN}"),
    }
}

/// A value up to its first control byte.
fn value_of(shown: &[u8], whole: &[u8], room: usize) -> String {
    let mut text = escaped(shown, room);
    if let Some(control) = whole.iter().find(|byte| is_control(**byte)) {
        let _ = write!(text, "{}...", [*control].escape_ascii());
    }
    text
}

/// Fields that say how a message is to be read, and nothing about who sent it.
fn is_harmless(name: &[u8]) -> bool {
    matches!(
        name,
        b"accept"
            | b"connection"
            | b"content-encoding"
            | b"content-length"
            | b"content-type"
            | b"expect"
            | b"keep-alive"
            | b"proxy-connection"
            | b"sec-websocket-version"
            | b"te"
            | b"trailer"
            | b"transfer-encoding"
            | b"upgrade"
            | b"user-agent"
    )
}
