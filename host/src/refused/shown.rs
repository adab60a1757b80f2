//! What is shown of a request that was refused: enough to see what is wrong with it, and nothing that could be a secret.
//!
//! Of the target the path and the names in the query; of fields the names, and the values of those few that say how a message
//! is to be read. What does not look like a request at all is not shown, for it may be the body of one. A line is shown up to its
//! first control byte, so that nothing hides behind one.

mod field;
mod line;
mod visible;

use self::field::{field, named};
use self::line::request_line;
use crate::activity::LOOKED_AT;

/// Most bytes of all that is shown.
const ALL: usize = 1536;
/// Longest name that is shown, of a field or in a query.
const NAME: usize = 64;

/// What stands for what is not shown.
const HIDDEN: &str = "***";

/// What is shown of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The request line.
    pub line: String,
    /// The fields, in their order.
    pub headers: Vec<String>,
    /// Whether there was more.
    pub cut: bool,
}

/// Of a head as it came, or the beginning of one.
#[must_use]
pub fn of_bytes(bytes: &[u8]) -> Shown {
    let start = bytes
        .iter()
        .position(|byte| !matches!(byte, b'\r' | b'\n'))
        .unwrap_or(bytes.len());
    let bytes = bytes.get(start..).unwrap_or_default();
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let Some(line) = lines.next().and_then(request_line) else {
        return Shown {
            line: no_request(bytes),
            headers: Vec::new(),
            cut: true,
        };
    };
    let mut shown = Shown::of(line);
    let mut ended = false;
    for line in lines {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            ended = true;
            break;
        }
        if !shown.add(field(line)) {
            break;
        }
    }
    shown.cut |= !ended;
    shown
}

/// Of a head that was parsed.
pub fn of_parts<'a>(
    line: (&str, &str, &str),
    fields: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> Shown {
    let (method, target, version) = line;
    let line = format!("{method} {target} {version}");
    let line = request_line(line.as_bytes()).unwrap_or_else(|| no_request(line.as_bytes()));
    let mut shown = Shown::of(line);
    for (name, value) in fields {
        if !shown.add(named(name.as_bytes(), value)) {
            break;
        }
    }
    shown
}

impl Shown {
    fn of(line: String) -> Self {
        Self {
            line,
            headers: Vec::new(),
            cut: false,
        }
    }

    /// Adds a field, if there is room.
    fn add(&mut self, field: String) -> bool {
        let all: usize = self.headers.iter().map(String::len).sum();
        let fits = self.line.len() + all + field.len() <= ALL;
        if fits {
            self.headers.push(field);
        }
        self.cut |= !fits;
        fits
    }
}

/// What is said of bytes that are no request.
fn no_request(bytes: &[u8]) -> String {
    if bytes.starts_with(b"\x16\x03") {
        return "(a TLS handshake)".to_owned();
    }
    if bytes.is_empty() {
        return "(nothing)".to_owned();
    }
    let more = if bytes.len() >= LOOKED_AT {
        " or more"
    } else {
        ""
    };
    format!("({}{more} bytes that are no request)", bytes.len())
}

#[cfg(test)]
mod tests;
