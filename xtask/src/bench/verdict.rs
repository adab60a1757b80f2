//! The targets, and whether they are met.

use serde_json::Value;

use super::changes::KINDS;
use super::figures::{median, ratios, spread_words};
use super::report::Report;
use super::scenarios::{CHANGES, DOWNLOAD, H2, HANDSHAKES, KEEPALIVE, TLS, WEBSOCKET};
use super::table::MEMORY;

/// CPU of one contestant against that of another, in the same rounds.
struct Target {
    says: &'static str,
    scenario: &'static str,
    left: &'static str,
    right: &'static str,
    at_most: f64,
}

const TARGETS: [Target; 11] = [
    Target {
        says: "plain costs at most 1.20 of the floor",
        scenario: KEEPALIVE,
        left: "swapgate",
        right: "floor",
        at_most: 1.2,
    },
    Target {
        says: "plain costs at most what nginx costs",
        scenario: KEEPALIVE,
        left: "swapgate",
        right: "nginx",
        at_most: 1.0,
    },
    Target {
        says: "plugins cost at most 1.10 of plain",
        scenario: KEEPALIVE,
        left: "swapgate-plugins",
        right: "swapgate",
        at_most: 1.1,
    },
    Target {
        says: "plugins cost less than nginx with Lua",
        scenario: KEEPALIVE,
        left: "swapgate-plugins",
        right: "nginx-lua",
        at_most: 1.0,
    },
    Target {
        says: "plugins cost less than half of Envoy with Lua",
        scenario: KEEPALIVE,
        left: "swapgate-plugins",
        right: "envoy-lua",
        at_most: 0.5,
    },
    Target {
        says: "plugins cost less than half of the Go gateway",
        scenario: KEEPALIVE,
        left: "swapgate-plugins",
        right: "go",
        at_most: 0.5,
    },
    Target {
        says: "10 MiB answers cost at most what they cost nginx, so throughput a core is at least nginx's",
        scenario: DOWNLOAD,
        left: "swapgate",
        right: "nginx",
        at_most: 1.0,
    },
    Target {
        says: "a request over TLS costs at most what it costs nginx",
        scenario: TLS,
        left: "swapgate",
        right: "nginx",
        at_most: 1.0,
    },
    Target {
        says: "a TLS handshake with its request costs at most what it costs nginx",
        scenario: HANDSHAKES,
        left: "swapgate",
        right: "nginx",
        at_most: 1.0,
    },
    Target {
        says: "a request over HTTP/2 costs at most what it costs nginx",
        scenario: H2,
        left: "swapgate",
        right: "nginx",
        at_most: 1.0,
    },
    Target {
        says: "a WebSocket message costs at most what it costs nginx",
        scenario: WEBSOCKET,
        left: "swapgate",
        right: "nginx",
        at_most: 1.0,
    },
];

/// Memory when it has started, in kilobytes.
const MEMORY_KB: u64 = 30_000;
/// How much longer a request may take in the window of a change.
const FACTOR: f64 = 1.5;
/// Or this much longer, in microseconds.
const MORE_US: f64 = 1000.0;

/// One line for each target: met, missed or not measured, and the figures.
pub(crate) fn verdicts(report: &Report) -> Vec<String> {
    let mut lines: Vec<String> = TARGETS
        .iter()
        .map(|target| of_cpu(target, report))
        .collect();
    lines.extend(of_changes(report));
    lines.extend(["swapgate", "swapgate-plugins"].map(|name| of_memory(name, report)));
    lines
}

fn of_cpu(target: &Target, report: &Report) -> String {
    let cpu = |name| report.rounds(target.scenario, name, "cpu_us");
    let Some((left, right)) = cpu(target.left).zip(cpu(target.right)) else {
        return format!("not measured: {}", target.says);
    };
    let ratios = ratios(&left, &right);
    let ratio = median(&ratios);
    let spread = spread_words(&ratios, 3);
    line(
        ratio <= target.at_most,
        target.says,
        &format!("{ratio:.3} ({spread})"),
    )
}

fn of_changes(report: &Report) -> Vec<String> {
    const FAILED: &str = "no request fails in swaps and reloads";
    const SLOW: &str = "p99 in their windows is at most 1.5 of quiet ones, or 1 ms more";
    let data = report.data(CHANGES);
    let Some(failures) = data["failures"].as_u64() else {
        return vec![FAILED, SLOW]
            .into_iter()
            .map(|says| format!("not measured: {says}"))
            .collect();
    };
    let failed = line(failures == 0, FAILED, &format!("{failures} failed"));
    let lag = data["lag_us"].as_f64().unwrap_or(f64::NAN);
    if lag > MORE_US {
        return vec![
            failed,
            format!("not measured: {SLOW}: the load itself was {lag} µs late"),
        ];
    }
    let [quiet, swap, reload] = KINDS.map(|kind| data[kind]["p99_us"].as_f64().unwrap_or(f64::NAN));
    let figures = format!("quiet {quiet} µs, swaps {swap} µs, reloads {reload} µs");
    let met = may_take(quiet, swap) && may_take(quiet, reload);
    vec![failed, line(met, SLOW, &figures)]
}

fn may_take(quiet: f64, changing: f64) -> bool {
    changing <= (quiet * FACTOR).max(quiet + MORE_US)
}

fn of_memory(name: &str, report: &Report) -> String {
    let says = format!("memory of {name} at the start is below 30 MB");
    match report.data(MEMORY)[name]["start_kb"].as_u64() {
        None => format!("not measured: {says}"),
        Some(kb) => line(kb * 1024 < MEMORY_KB * 1000, &says, &format!("{kb} KiB")),
    }
}

fn line(met: bool, says: &str, figures: &str) -> String {
    let verdict = if met { "met" } else { "missed" };
    format!("{verdict}: {says}: {figures}")
}

/// A figure's numbers, one a round.
pub(crate) fn numbers(value: &Value) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(Value::as_f64).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::report::Report;
    use super::super::table::Table;
    use super::{may_take, verdicts};

    fn table(scenario: &'static str, data: serde_json::Value) -> Table {
        Table {
            scenario,
            head: vec![],
            lines: vec![],
            notes: vec![],
            data,
        }
    }

    #[test]
    fn targets_are_judged_by_the_ratios_of_rounds() {
        let mut report = Report::new(vec![]);
        report.add(table(
            "keepalive",
            json!({"floor": {"cpu_us": [10.0, 20.0, 10.0]}, "swapgate": {"cpu_us": [11.5, 23.6, 12.5]}, "nginx": {"cpu_us": [11.0, 22.0, 11.0]}}),
        ));
        report.add(table(
            "changes",
            json!({"failures": 1, "lag_us": 20, "quiet": {"p99_us": 100}, "swap": {"p99_us": 900}, "reload": {"p99_us": 1200}}),
        ));
        report.add(table("memory", json!({"swapgate": {"start_kb": 29_000}})));
        let lines = verdicts(&report);
        assert_eq!(
            lines[0],
            "met: plain costs at most 1.20 of the floor: 1.180 (1.150 to 1.250)"
        );
        assert_eq!(
            lines[1],
            "missed: plain costs at most what nginx costs: 1.073 (1.045 to 1.136)"
        );
        assert_eq!(lines[2], "not measured: plugins cost at most 1.10 of plain");
        assert_eq!(
            lines[11],
            "missed: no request fails in swaps and reloads: 1 failed"
        );
        assert!(
            lines[12].starts_with("missed: p99 in their windows"),
            "{}",
            lines[12]
        );
        assert!(
            lines[13].starts_with("met: memory of swapgate"),
            "{}",
            lines[13]
        );
    }

    #[test]
    fn a_change_may_cost_half_more_or_a_millisecond() {
        assert!(may_take(100.0, 1100.0) && !may_take(100.0, 1101.0));
        assert!(may_take(4000.0, 6000.0) && !may_take(4000.0, 6001.0));
        assert!(!may_take(f64::NAN, 1.0) && !may_take(1.0, f64::NAN));
    }
}
