//! h2load: many streams on few connections, and what it counted.

use std::process::Command;

use crate::child::run;

/// What h2load counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The protocol it spoke: `h2`, `h2c` or `http/1.1`.
    pub protocol: String,
    /// Requests answered with a status below 400.
    pub succeeded: u64,
    /// Those that failed, were reset, or ran into a time limit.
    pub failed: u64,
    /// Everything it wrote.
    pub text: String,
}

/// Sends so many requests over so many connections, with so many streams at once on each.
///
/// # Panics
/// When h2load does not run to its end.
#[must_use]
#[track_caller]
pub fn h2load(
    url: &str,
    requests: u64,
    connections: u32,
    streams: u32,
    further: &[&str],
) -> Counted {
    let mut command = Command::new("h2load");
    command
        .args(["-n", &requests.to_string(), "-c", &connections.to_string()])
        .args(["-m", &streams.to_string()])
        .args(further)
        .arg(url);
    let text = run(&mut command).success().text();
    Counted {
        protocol: after(&text, "Application protocol: "),
        succeeded: before(&text, " succeeded"),
        failed: before(&text, " failed") + before(&text, " errored") + before(&text, " timeout"),
        text,
    }
}

/// The rest of the line that begins so.
fn after(text: &str, beginning: &str) -> String {
    let found = text.lines().find_map(|line| line.strip_prefix(beginning));
    found.unwrap_or_default().to_owned()
}

/// The number before a word in the line that counts requests.
#[track_caller]
fn before(text: &str, word: &str) -> u64 {
    let requests = after(text, "requests: ");
    let number = requests
        .split(',')
        .find_map(|part| part.trim().strip_suffix(word));
    match number.and_then(|number| number.parse().ok()) {
        Some(number) => number,
        None => panic!("h2load tells no number of requests that{word}:\n{text}"),
    }
}
