//! Two moments as a table.

use std::fmt::Write as _;

use super::sample::{Hook, Image, Sample};

const HEAD: [&str; 11] = [
    "PLUGIN", "VERSION", "STATE", "INST", "CALLS/S", "ERR/S", "NS/CALL", "CPU", "OPS", "BUFFERED",
    "MEMORY",
];
/// How many columns are words; the rest are numbers, which stand to the right.
const WORDS: usize = 3;
/// The most lines of what an operator should know.
const LINES: usize = 6;

/// The table for what happened between two moments.
pub(super) fn of(before: &Sample, after: &Sample) -> String {
    let seconds = after.at.duration_since(before.at).as_secs_f64().max(1e-3);
    let mut text = heading(before, after, seconds);
    let mut rows: Vec<(f64, [String; 11])> = after
        .images
        .iter()
        .map(|image| row(image, before, seconds))
        .collect();
    // What costs most stands first; equals by name, so that lines do not jump about.
    rows.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let rows: Vec<[String; 11]> = rows.into_iter().map(|(_, row)| row).collect();
    lay_out(&rows, &mut text);
    text
}

fn heading(before: &Sample, after: &Sample, seconds: f64) -> String {
    let status = &after.status;
    let ready = if status.ready { "ready" } else { "NOT READY" };
    let mut text = format!(
        "swapgate {}  up {}  {ready}  generation {}",
        status.version,
        time(status.uptime_s),
        status.generation
    );
    if !status.draining.is_empty() {
        let _ = write!(text, " (+{} draining)", status.draining.len());
    }
    let _ = writeln!(
        text,
        "\n{} requests/s  {} connections  {:.0} % of {} workers' cores  {} resident memory",
        number((after.requests - before.requests).max(0.0) / seconds),
        after.connections,
        (after.cpu - before.cpu).max(0.0) / seconds * 100.0,
        status.workers,
        bytes(after.memory)
    );
    let refused = match status.refused.len() {
        0 => Vec::new(),
        1 => vec!["a plugin file is refused; /status says why".to_owned()],
        many => vec![format!("{many} plugin files are refused; /status says why")],
    };
    let degraded = status
        .degraded
        .iter()
        .map(|text| format!("degraded: {text}"));
    let stuck = status.stuck.iter().map(|text| format!("stuck: {text}"));
    let notes = status.notes.iter().map(|text| format!("note: {text}"));
    for line in degraded
        .chain(stuck)
        .chain(refused)
        .chain(notes)
        .take(LINES)
    {
        let _ = writeln!(text, "! {line}");
    }
    text.push('\n');
    text
}

fn row(image: &Image, before: &Sample, seconds: f64) -> (f64, [String; 11]) {
    let now = total(&image.hooks);
    let mut known = before.images.iter();
    let then = known.find(|one| one.digest == image.digest && one.id == image.id);
    let then = then.map_or_else(nothing, |one| total(&one.hooks));
    let per_second = |now: u64, then: u64| whole(now.saturating_sub(then)) / seconds;
    let calls = per_second(now.calls, then.calls);
    // Of what was sampled between the two looks, or ever, where that was nothing.
    let recent = (
        now.sampled_ns.saturating_sub(then.sampled_ns),
        now.sampled_calls.saturating_sub(then.sampled_calls),
    );
    let (ns, of) = match recent {
        (_, 0) => (now.sampled_ns, now.sampled_calls),
        recent => recent,
    };
    let mean = (of > 0).then(|| whole(ns) / whole(of));
    let cpu = mean.unwrap_or(0.0) * calls / 1e9;
    let cells = [
        image.id.clone(),
        image.version.clone(),
        image.state.clone(),
        image.instances.len().to_string(),
        number(calls),
        number(per_second(
            now.errors + now.panics,
            then.errors + then.panics,
        )),
        mean.map_or_else(|| "-".to_owned(), |mean| format!("{mean:.0}")),
        format!("{:.1}%", cpu * 100.0),
        image.pending_operations.to_string(),
        bytes(whole(image.buffered_bytes)),
        image
            .memory
            .as_ref()
            .map_or_else(|| "-".to_owned(), |memory| bytes(whole(memory.bytes))),
    ];
    (cpu, cells)
}

fn nothing() -> Hook {
    Hook {
        calls: 0,
        errors: 0,
        panics: 0,
        sampled_calls: 0,
        sampled_ns: 0,
    }
}

fn total(hooks: &[Hook]) -> Hook {
    hooks.iter().fold(nothing(), |sum, hook| Hook {
        calls: sum.calls + hook.calls,
        errors: sum.errors + hook.errors.saturating_sub(hook.panics),
        panics: sum.panics + hook.panics,
        sampled_calls: sum.sampled_calls + hook.sampled_calls,
        sampled_ns: sum.sampled_ns + hook.sampled_ns,
    })
}

fn lay_out(rows: &[[String; 11]], text: &mut String) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        widest.max(HEAD.get(column).map_or(0, |head| head.len()))
    };
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let head = HEAD.map(str::to_owned);
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if column < WORDS {
                write!(line, "{cell:<width$}  ")
            } else {
                write!(line, "{cell:>width$}  ")
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

fn time(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

fn number(number: f64) -> String {
    if number >= 10.0 || number == 0.0 {
        format!("{number:.0}")
    } else {
        format!("{number:.1}")
    }
}

fn bytes(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut left = bytes;
    let mut unit = 0;
    while left >= 1024.0 && unit + 1 < units.len() {
        left /= 1024.0;
        unit += 1;
    }
    format!("{} {}", number(left), units.get(unit).unwrap_or(&"B"))
}

#[allow(clippy::cast_precision_loss, reason = "shown with three digits")]
fn whole(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(bytes(0.0), "0 B");
        assert_eq!(bytes(1536.0), "1.5 KiB");
        assert_eq!(bytes(64.0 * 1024.0 * 1024.0), "64 MiB");
        assert_eq!(time(3725), "1h2m");
        assert_eq!(number(0.25), "0.2");
        assert_eq!(number(1234.6), "1235");
    }
}
