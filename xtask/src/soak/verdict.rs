//! What came of a soak: a table for a person, and a sentence for everything that fell short.

use std::fmt::Display;
use std::time::Duration;

use crate::account::Usage;
use crate::load::Report;

use super::clients::{KINDS, Reports};
use super::options::Options;
use super::plan::{Change, WINDOWS};

/// From so many seconds on resident memory is judged as well. Much of it is text of the binary, and after a short warm-up
/// that depends on which of its pages were used by then, and on what the page cache holds.
const RESIDENT_FROM: f64 = 60.0;

/// What was found.
pub(super) struct Findings<'a> {
    pub(super) options: &'a Options,
    pub(super) plan: &'a [(Duration, Change)],
    /// Changes that did what they should, and how long each took.
    pub(super) done: &'a [(&'static str, Duration)],
    pub(super) took: Duration,
    pub(super) rates: [f64; 3],
    pub(super) reports: &'a Reports,
    pub(super) before: Usage,
    pub(super) after: Usage,
}

/// Prints everything; whether all is well.
pub(super) fn judge(found: &Findings<'_>) -> bool {
    print_latencies(found);
    print_changes(found);
    print_lasting(&found.reports.lasting);
    let missed = shortfalls(found);
    match &missed[..] {
        [] => println!("\neverything is as it should be"),
        _ => println!("\nfell short:"),
    }
    missed.iter().for_each(|sentence| println!("  {sentence}"));
    missed.is_empty()
}

fn print_latencies(found: &Findings<'_>) {
    println!(
        "\n{:.0} s; latencies in µs, from when a request was due\n\n{:<12}{:<16}{:>10}{:>9}{:>9}{:>9}{:>9}",
        found.took.as_secs_f64(),
        "load",
        "window",
        "requests",
        "p50",
        "p99",
        "p99.9",
        "worst"
    );
    let figures = |report: &Report| {
        let figures =
            ["requests", "p50_us", "p99_us", "p999_us", "max_us"].map(|key| report.count(key));
        let [requests, rest @ ..] = figures;
        let rest: String = rest.iter().map(|figure| format!("{figure:>9}")).collect();
        format!("{requests:>10}{rest}")
    };
    for ((kind, report), rate) in KINDS.iter().zip(&found.reports.loads).zip(found.rates) {
        println!("{:<12}{:<16}{}", kind.name, "all", figures(report));
        for window in WINDOWS {
            println!("{:<12}{window:<16}{}", "", figures(&report.window(window)));
        }
        let lag = report.count("lag_p99_us");
        println!(
            "{:<12}{rate} a second were due; sent {lag} µs late (p99)",
            ""
        );
    }
}

fn print_changes(found: &Findings<'_>) {
    println!(
        "\n{:<16}{:>6}{:>6}{:>12}{:>12}",
        "changes", "due", "seen", "median ms", "slowest ms"
    );
    for window in &WINDOWS[1..] {
        let mut took: Vec<Duration> = of_kind(found.done, window).collect();
        took.sort_unstable();
        let middle = took.get(took.len() / 2).map_or(0, Duration::as_millis);
        let slowest = took.last().map_or(0, Duration::as_millis);
        let due = due(found.plan, window);
        println!(
            "{window:<16}{due:>6}{:>6}{middle:>12}{slowest:>12}",
            took.len()
        );
    }
    let versions = found.reports.loads.iter().flat_map(Report::versions);
    let configs = found.reports.loads.iter().flat_map(Report::configs);
    println!(
        "answers came from {} versions and {} configurations",
        distinct(versions),
        distinct(configs)
    );
}

fn print_lasting(lasting: &Report) {
    for name in ["websocket", "call"] {
        let life = lasting.part(name);
        let figures = ["sent", "back", "p50_us", "p99_us", "max_us"].map(|key| life.count(key));
        let [sent, back, p50, p99, worst] = figures;
        println!(
            "{name}: {sent} messages sent, {back} came back; {p50} µs (p50), {p99} µs (p99), {worst} µs (worst)"
        );
    }
    let download = lasting.part("download");
    let (bytes, of) = (download.count("bytes"), download.count("of"));
    let seconds = download.measure("seconds");
    println!("download: {bytes} bytes of {of} in {seconds:.0} s, each where it belongs");
}

/// A sentence for everything that is not as it should be.
fn shortfalls(found: &Findings<'_>) -> Vec<String> {
    let mut missed = Missed::default();
    for (kind, report) in KINDS.iter().zip(&found.reports.loads) {
        let name = kind.name;
        let count = |key| report.count(key);
        missed.unless(
            count("requests") > 0,
            format_args!("{name}: not one request was answered"),
        );
        let failures = count("failures");
        let reasons: Vec<&str> = report.reasons().collect();
        missed.unless(
            failures == 0,
            format_args!("{name}: {failures} requests failed, of them {} with answers from two: {reasons:#?}", count("mixed")),
        );
        let closed = count("closed");
        missed.unless(
            closed == 0 || !kind.keeps,
            format_args!(
                "{name}: the gateway closed {closed} connections that should have lived on"
            ),
        );
        let wrong = report
            .configs()
            .filter(|(mark, _)| mark.starts_with("wrong"));
        wrong.for_each(|(mark, count)| {
            missed.unless(
                false,
                format_args!("{name}: {count} answers came from the refused configuration {mark}"),
            );
        });
    }
    for reason in found.reports.lasting.list("failures") {
        missed.unless(false, format_args!("{reason}"));
    }
    for window in &WINDOWS[1..] {
        let (due, seen) = (due(found.plan, window), of_kind(found.done, window).count());
        missed.unless(
            seen == due,
            format_args!("{window}: {seen} of {due} did what they should"),
        );
    }
    resources(found, &mut missed);
    missed.0
}

fn resources(found: &Findings<'_>, missed: &mut Missed) {
    let Findings {
        before,
        after,
        options,
        ..
    } = found;
    let percent = options.memory;
    println!(
        "memory at rest: {} KB anonymous before, {} KB after ({:+.1} %); {} KB resident before, {} KB after ({:+.1} %)",
        before.anonymous_kb,
        after.anonymous_kb,
        change(before.anonymous_kb, after.anonymous_kb),
        before.resident_kb,
        after.resident_kb,
        change(before.resident_kb, after.resident_kb),
    );
    let resident = options.seconds >= RESIDENT_FROM;
    for (what, judged, was, is) in [
        ("anonymous", true, before.anonymous_kb, after.anonymous_kb),
        ("resident", resident, before.resident_kb, after.resident_kb),
    ] {
        missed.unless(
            !judged || change(was, is) <= percent,
            format_args!("{is} KB of {what} memory at rest, which is more than {percent} % above the {was} KB before"),
        );
    }
    for (what, was, is) in [
        ("mapped images", before.images, after.images),
        ("threads", before.threads, after.threads),
        ("descriptors", before.descriptors, after.descriptors),
    ] {
        missed.unless(is <= was, format_args!("{is} {what} at rest, {was} before"));
    }
}

/// Sentences, collected.
#[derive(Default)]
struct Missed(Vec<String>);

impl Missed {
    fn unless(&mut self, well: bool, sentence: impl Display) {
        if !well {
            self.0.push(sentence.to_string());
        }
    }
}

fn of_kind<'a>(
    done: &'a [(&'static str, Duration)],
    window: &'a str,
) -> impl Iterator<Item = Duration> + 'a {
    let of_it = done.iter().filter(move |(kind, _)| *kind == window);
    of_it.map(|(_, took)| *took)
}

fn due(plan: &[(Duration, Change)], window: &str) -> usize {
    plan.iter()
        .filter(|(_, change)| change.window() == window)
        .count()
}

fn distinct<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> usize {
    counts
        .map(|(name, _)| name)
        .collect::<std::collections::HashSet<_>>()
        .len()
}

/// Percent by which `is` is above `was`.
fn change(was: u64, is: u64) -> f64 {
    (is as f64 / was.max(1) as f64 - 1.0) * 100.0
}

#[cfg(test)]
mod tests {
    use super::{change, distinct};

    #[test]
    fn more_is_above_and_less_below() {
        assert!((change(100, 105) - 5.0).abs() < 1e-9);
        assert!((change(200, 100) + 50.0).abs() < 1e-9);
        assert_eq!(distinct([("a", 1), ("b", 2), ("a", 3)].into_iter()), 2);
    }
}
