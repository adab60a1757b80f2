//! What rounds came to: medians, spreads, ratios, and tables of them.

use serde_json::{Value, json};

use crate::failure::Outcome;
use crate::load::Report;

use super::bed::Running;
use super::scenarios::Columns;

/// The scenario name of the table of memory.
pub(crate) const MEMORY: &str = "memory";

/// One contestant in one round.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    pub(crate) requests: f64,
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    /// How much later than due the load sent, 99 % of the time.
    pub(crate) lag_us: f64,
}

impl Sample {
    /// The parts of a round together; quantiles are the middle of theirs.
    pub(crate) fn of(parts: &[Report]) -> Self {
        let each = |key: &str| -> Vec<f64> { parts.iter().map(|part| part.measure(key)).collect() };
        let sum = |key| each(key).iter().sum();
        Self {
            requests: sum("requests"),
            seconds: sum("seconds"),
            cpu_seconds: sum("cpu_seconds"),
            p50_us: median(&each("p50_us")),
            p99_us: median(&each("p99_us")),
            p999_us: median(&each("p999_us")),
            lag_us: median(&each("lag_p99_us")),
        }
    }

    /// CPU of the contestant's process for one request.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.requests
    }

    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests / self.seconds
    }

    /// How much of its core the contestant used.
    pub(crate) fn core(&self) -> f64 {
        self.cpu_seconds / self.seconds
    }
}

/// One contestant in all rounds.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) samples: Vec<Sample>,
}

impl Row {
    pub(crate) fn each(&self, figure: impl Fn(&Sample) -> f64) -> Vec<f64> {
        self.samples.iter().map(figure).collect()
    }

    fn data(&self) -> Value {
        json!({
            "cpu_us": self.each(Sample::cpu_us),
            "rate": self.each(Sample::rate),
            "core": self.each(Sample::core),
            "p50_us": self.each(|sample| sample.p50_us),
            "p99_us": self.each(|sample| sample.p99_us),
            "p999_us": self.each(|sample| sample.p999_us),
            "lag_us": self.each(|sample| sample.lag_us),
        })
    }
}

/// A table for people, and its data for programs.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) scenario: &'static str,
    pub(crate) head: Vec<&'static str>,
    pub(crate) lines: Vec<Vec<String>>,
    pub(crate) notes: Vec<String>,
    /// For rounds: by contestant, by figure, one number a round.
    pub(crate) data: Value,
}

impl Table {
    pub(crate) fn of_rounds(scenario: &'static str, columns: Columns, rows: &[Row]) -> Self {
        Self {
            scenario,
            head: heads(columns),
            lines: rows.iter().map(|row| line(columns, row, rows)).collect(),
            notes: vec![],
            data: rows
                .iter()
                .map(|row| (row.name.clone(), row.data()))
                .collect(),
        }
    }

    /// What every contestant uses: when it had started, and at most.
    pub(crate) fn of_memory(running: &[Running]) -> Outcome<Self> {
        let mebibytes = |kilobytes: u64| format!("{:.1}", kilobytes as f64 / 1024.0);
        let mut table = Self {
            scenario: MEMORY,
            head: vec!["contestant", "at start, MiB", "at most, MiB"],
            lines: vec![],
            notes: vec![],
            data: json!({}),
        };
        for one in running {
            let peak = one.memory("VmHWM:")?;
            let start = one.memory_at_start;
            table
                .lines
                .push(vec![one.name(), mebibytes(start), mebibytes(peak)]);
            table.data[one.name()] = json!({"start_kb": start, "peak_kb": peak});
        }
        Ok(table)
    }
}

fn heads(columns: Columns) -> Vec<&'static str> {
    match columns {
        Columns::Cost => vec![
            "contestant",
            "CPU µs",
            "spread",
            "of the first",
            "spread",
            "/s",
            "core",
            "p50 µs",
            "p99 µs",
        ],
        Columns::Bodies(_) => vec![
            "contestant",
            "CPU µs/MiB",
            "spread",
            "of the first",
            "spread",
            "MiB/s",
            "MiB per CPU s",
            "core",
        ],
        Columns::Latency => vec![
            "contestant",
            "p50 µs",
            "p99 µs",
            "spread",
            "p99.9 µs",
            "spread",
            "core",
            "sent late, p99 µs",
        ],
    }
}

fn line(columns: Columns, row: &Row, rows: &[Row]) -> Vec<String> {
    let figure = |figure: fn(&Sample) -> f64| median(&row.each(figure));
    let per = |divisor: f64, digits| {
        let values: Vec<f64> = row
            .each(Sample::cpu_us)
            .iter()
            .map(|cpu| cpu / divisor)
            .collect();
        let first = rows
            .first()
            .map_or(vec![], |first| first.each(Sample::cpu_us));
        let ratios = ratios(&row.each(Sample::cpu_us), &first);
        vec![
            row.name.clone(),
            format!("{:.digits$}", median(&values)),
            spread_words(&values, digits),
            format!("{:.3}", median(&ratios)),
            spread_words(&ratios, 3),
        ]
    };
    let core = format!("{:.0} %", figure(Sample::core) * 100.0);
    let whole = |value: f64| format!("{value:.0}");
    match columns {
        Columns::Cost => {
            let more = [
                whole(figure(Sample::rate)),
                core,
                whole(figure(|sample| sample.p50_us)),
                whole(figure(|sample| sample.p99_us)),
            ];
            [per(1.0, 2), more.to_vec()].concat()
        }
        Columns::Bodies(mebibytes) => {
            let more = [
                whole(figure(Sample::rate) * mebibytes),
                whole(1e6 * mebibytes / figure(Sample::cpu_us)),
                core,
            ];
            [per(mebibytes, 1), more.to_vec()].concat()
        }
        Columns::Latency => vec![
            row.name.clone(),
            whole(figure(|sample| sample.p50_us)),
            whole(figure(|sample| sample.p99_us)),
            spread_words(&row.each(|sample| sample.p99_us), 0),
            whole(figure(|sample| sample.p999_us)),
            spread_words(&row.each(|sample| sample.p999_us), 0),
            core,
            whole(figure(|sample| sample.lag_us)),
        ],
    }
}

/// One ratio for every round.
pub(crate) fn ratios(left: &[f64], right: &[f64]) -> Vec<f64> {
    left.iter()
        .zip(right)
        .map(|(left, right)| left / right)
        .collect()
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
    }
}

pub(crate) fn spread_words(values: &[f64], digits: usize) -> String {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{low:.digits$} to {high:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::{Row, Sample, Table, median, ratios, spread_words};
    use crate::bench::scenarios::Columns;

    fn row(name: &str, cpu_seconds: [f64; 3]) -> Row {
        let sample = |cpu_seconds| Sample {
            requests: 100_000.0,
            seconds: 2.0,
            cpu_seconds,
            ..Sample::default()
        };
        Row {
            name: String::from(name),
            samples: cpu_seconds.map(sample).to_vec(),
        }
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(
            [
                median(&[]),
                median(&[3.0]),
                median(&[9.0, 1.0, 2.0]),
                median(&[4.0, 1.0])
            ],
            [0.0, 3.0, 2.0, 2.5]
        );
        assert_eq!(spread_words(&[2.0, 1.0, 3.5], 1), "1.0 to 3.5");
    }

    #[test]
    fn ratios_are_those_of_the_rounds() {
        // The machine was half as fast in the last round; the ratio does not know.
        assert_eq!(ratios(&[2.0, 3.0, 6.0], &[1.0, 1.5, 3.0]), [2.0, 2.0, 2.0]);
    }

    #[test]
    fn a_line_holds_medians_and_spreads() {
        let rows = [row("a", [1.0, 1.0, 2.0]), row("b", [1.5, 1.2, 3.0])];
        let cost = Table::of_rounds("keepalive", Columns::Cost, &rows);
        let expected = [
            "b",
            "15.00",
            "12.00 to 30.00",
            "1.500",
            "1.200 to 1.500",
            "50000",
            "75 %",
            "0",
            "0",
        ];
        assert_eq!(cost.lines[1], expected);
        let bodies = Table::of_rounds("download", Columns::Bodies(10.0), &rows);
        let expected = [
            "a",
            "1.0",
            "1.0 to 2.0",
            "1.000",
            "1.000 to 1.000",
            "500000",
            "1000000",
            "50 %",
        ];
        assert_eq!(bodies.lines[0], expected);
    }
}
