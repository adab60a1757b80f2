//! Rounds: everybody in order, then everybody backwards, half the time each, so that a machine that grows warmer or
//! busier during a round burdens all alike.

use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::load::Report as LoadReport;

use super::bed::{Bed, Running};
use super::contestants::Setting;
use super::figures::{Row, Sample, median};
use super::options::Options;
use super::report::Report;
use super::scenarios::{KEEPALIVE, KEY, MANY, Over, SCENARIOS, Scenario};
use super::table::Table;

/// How much longer than planned a load may take: an answer that never comes is counted after a minute.
const LATE: Duration = Duration::from_secs(120);
/// Before anything counts, in every part of a round.
const WARMUP: &str = "0.3";
/// The share of the slowest contestant's saturation that latencies are taken at.
pub(crate) const MODERATE: f64 = 0.3;

/// Runs the rounds of a scenario.
pub(crate) fn measure(
    bed: &Bed<'_>,
    options: &Options,
    scenario: &Scenario,
    subjects: &[&Running],
    rate: Option<f64>,
) -> Outcome<Table> {
    let mut parts: Vec<Vec<LoadReport>> = Vec::new();
    let mut rows: Vec<Row> = subjects
        .iter()
        .map(|subject| Row {
            name: subject.name(),
            samples: vec![],
        })
        .collect();
    for _ in 0..options.rounds {
        parts.clear();
        parts.resize_with(subjects.len(), Vec::new);
        let forwards = 0..subjects.len();
        for at in forwards.clone().chain(forwards.rev()) {
            let words = words(options, scenario, rate, options.seconds / 2.0);
            parts[at].push(load(bed, subjects[at], scenario.over, &words)?);
        }
        for (row, parts) in rows.iter_mut().zip(&parts) {
            row.samples.push(Sample::of(parts));
        }
    }
    let mut table = Table::of_rounds(scenario.name, scenario.columns, &rows);
    if let Some(rate) = rate {
        let share = MODERATE * 100.0;
        table.notes.push(format!(
            "{rate:.0} requests a second, {share:.0} % of what the slowest answers at most."
        ));
    }
    Ok(table)
}

/// Every contestant that can have them, once more with many routes.
pub(crate) fn with_many_routes(bed: &Bed<'_>, running: &[Running]) -> Outcome<Vec<Running>> {
    let able = running.iter().filter(|one| one.contestant.routes);
    able.map(|one| bed.start(one.contestant, Setting::measured(MANY)))
        .collect()
}

/// The rate that leaves even the slowest room: from the rounds before, or from asking each for a moment.
pub(crate) fn moderate_rate(
    bed: &Bed<'_>,
    options: &Options,
    subjects: &[&Running],
    report: &Report,
) -> Outcome<f64> {
    let mut slowest = f64::INFINITY;
    for subject in subjects {
        let known = report.rounds(KEEPALIVE, &subject.name(), "rate");
        let rate = match known.as_deref() {
            Some(rates) => median(rates),
            None => saturation(bed, subject, &words(options, &SCENARIOS[0], None, 1.0))?,
        };
        slowest = slowest.min(rate);
    }
    Ok((slowest * MODERATE).round())
}

/// Requests a second, as many as are answered.
pub(crate) fn saturation(bed: &Bed<'_>, subject: &Running, words: &[String]) -> Outcome<f64> {
    load(bed, subject, Over::Http, words).map(|report| Sample::of(&[report]).rate())
}

/// Words for the load generator.
pub(crate) fn words(
    options: &Options,
    scenario: &Scenario,
    rate: Option<f64>,
    seconds: f64,
) -> Vec<String> {
    let connections = options.connections.unwrap_or(scenario.connections);
    let mut words = [scenario.words, &KEY]
        .concat()
        .iter()
        .map(|word| (*word).to_owned())
        .collect::<Vec<_>>();
    let mut add = |name: &str, value: String| words.extend([name.to_owned(), value]);
    add("--connections", connections.to_string());
    add("--warmup", WARMUP.to_owned());
    add("--seconds", seconds.to_string());
    if let Some(rate) = rate {
        add("--rate", rate.to_string());
    }
    words
}

fn load(bed: &Bed<'_>, subject: &Running, over: Over, words: &[String]) -> Outcome<LoadReport> {
    let cpu_of = ["--cpu-of".to_owned(), subject.program.pid().to_string()];
    let words = [words, &cpu_of].concat();
    let report = bed.load(subject, over, &words)?.wait(LATE + LATE)?;
    if report.count("failures") > 0 || report.count("requests") == 0 {
        let reason = report.reasons().next().unwrap_or("nothing was answered");
        return Err(Failure::new(format!(
            "a round against {} had failures, so it says nothing: {reason}",
            subject.name()
        )));
    }
    Ok(report)
}
