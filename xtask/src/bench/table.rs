//! Tables: for people as Markdown, for programs as data.

use serde_json::{Value, json};

use crate::failure::Outcome;

use super::bed::Running;
use super::figures::{Row, Sample, median, ratios, spread_words};
use super::scenarios::Columns;

/// The scenario name of the table of memory.
pub(crate) const MEMORY: &str = "memory";

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

    /// As Markdown, its columns aligned so that it can be read as it is.
    pub(crate) fn markdown(&self) -> String {
        let width = |column: usize| {
            let cells = self.lines.iter().filter_map(|line| line.get(column));
            let cells = cells.map(|cell| cell.chars().count());
            cells
                .chain([self.head[column].chars().count()])
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let row = |cells: Vec<&str>| {
            let cells = cells.iter().zip(&widths).enumerate();
            let cells: String = cells
                .map(|(at, (cell, width))| match at {
                    0 => format!("| {cell:<width$} "),
                    _ => format!("| {cell:>width$} "),
                })
                .collect();
            format!("{cells}|\n")
        };
        let rule = widths.iter().enumerate().map(|(at, width)| {
            let dashes = "-".repeat(width + 1);
            format!("|{dashes}{}", if at == 0 { "-" } else { ":" })
        });
        let rule: String = rule.collect();
        let lines: String = self
            .lines
            .iter()
            .map(|line| row(line.iter().map(String::as_str).collect()))
            .collect();
        let notes: String = self
            .notes
            .iter()
            .map(|note| format!("\n{note}\n"))
            .collect();
        format!("{}{rule}|\n{lines}{notes}", row(self.head.clone()))
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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::figures::{Row, Sample};
    use super::super::scenarios::Columns;
    use super::Table;

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

    #[test]
    fn tables_are_markdown() {
        let table = Table {
            scenario: "x",
            head: vec!["contestant", "CPU µs"],
            lines: vec![vec![String::from("floor"), String::from("10.25")]],
            notes: vec![String::from("A note.")],
            data: Value::Null,
        };
        let expected = "| contestant | CPU µs |\n|------------|-------:|\n| floor      |  10.25 |\n\nA note.\n";
        assert_eq!(table.markdown(), expected);
    }
}
