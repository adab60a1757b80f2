//! Swaps and reloads while this gateway serves at a moderate rate: what fails, and what a change does to latency.
//!
//! The load tells windows apart: from the moment a file is changed until a little after the gateway shows the change is
//! a window of that change, everything else is quiet.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::{Context, Failure, Outcome};
use crate::http::get_json;
use crate::load::{Load, Report};
use crate::process::wait_for;
use crate::soak::{is_active, is_judged};
use crate::swap::{Version, Way};

use super::bed::{Bed, Running};
use super::contestants::{CHANGING, Setting};
use super::options::Options;
use super::rounds::{MODERATE, saturation, words};
use super::scenarios::{CHANGES, SCENARIOS};
use super::table::Table;

/// How long one change may take until the gateway shows it.
const CHANGE: Duration = Duration::from_secs(60);
/// How long the load may take to end.
const END: Duration = Duration::from_secs(120);
/// Between two looks at the admin listener, which must not become a load itself.
const LOOK: Duration = Duration::from_millis(45);
/// What still belongs to a change once it is shown.
const AFTER: Duration = Duration::from_millis(200);
/// Quiet time between two changes.
const QUIET: Duration = Duration::from_millis(800);
/// The file that is changed.
const CONFIG: &str = "swapgate-changes.yaml";
/// The windows.
pub(crate) const KINDS: [&str; 3] = ["quiet", "swap", "reload"];
/// What is told of each.
const FIGURES: [&str; 5] = ["requests", "p50_us", "p99_us", "p999_us", "max_us"];

/// Changes under load, and the table of what came back.
pub(crate) fn measure(bed: &Bed<'_>, options: &Options) -> Outcome<Vec<Table>> {
    let running = bed.start(&CHANGING, Setting::measured(1))?;
    let scenario = SCENARIOS.iter().find(|one| one.name == CHANGES);
    let scenario = scenario.ok_or_else(|| Failure::new("the scenario of changes is gone"))?;
    let at_most = saturation(bed, &running, &words(options, scenario, None, 1.0))?;
    let rate = (at_most * MODERATE).round();
    let mut words = words(options, scenario, Some(rate), 1.0);
    let timed = words.iter().position(|word| word == "--seconds");
    let timed = timed.ok_or_else(|| Failure::new("the load has no end"))?;
    words.splice(
        timed..timed + 2,
        ["--until-eof", "--windows"].map(String::from),
    );
    // Before there is a load: making them takes time on a core that would be missed in a window.
    let versions = versions(bed, options.changes)?;
    let load = bed.load(&running, scenario.over, &words)?;
    let mut session = Session { load, running };
    session.load.window("quiet")?;
    std::thread::sleep(QUIET);
    session.swap(&versions)?;
    session.reload(options.changes)?;
    let report = session.load.finish(END)?;
    Ok(vec![table(&report, rate, options.changes)])
}

/// What is put in place, one after another.
fn versions(bed: &Bed<'_>, swaps: usize) -> Outcome<Vec<Version>> {
    let library = bed.tools.built.join("libstamp.so");
    let library =
        fs::read(&library).context(format_args!("{} cannot be read", library.display()))?;
    let patched = |turn| Version::patched(&library, turn + 1);
    (0..swaps).map(patched).collect()
}

struct Session {
    load: Load,
    running: Running,
}

impl Session {
    /// Swaps, each in another way than the one before.
    fn swap(&mut self, versions: &[Version]) -> Outcome<()> {
        let plugin = self.running.folder.plugins().join("libstamp.so");
        for (turn, version) in versions.iter().enumerate() {
            self.load.window("swap")?;
            Way::of_turn(turn).put(&self.running.folder, &plugin, &version.bytes)?;
            let what = format!("swap {} to become active", turn + 1);
            self.until(&what, "/plugins", |plugins| {
                is_active(plugins, &version.digest)
            })?;
        }
        Ok(())
    }

    /// Reloads, each with another time-out than the one before.
    fn reload(&mut self, reloads: usize) -> Outcome<()> {
        let file = self.running.folder.file(CONFIG);
        let text =
            fs::read_to_string(&file).context(format_args!("{} cannot be read", file.display()))?;
        for turn in 0..reloads {
            let changed = text.replace("response: 30s", &format!("response: {}s", 31 + turn % 7));
            let before = get_json(&self.running.admin, "/status")?;
            self.load.window("reload")?;
            self.running.folder.write(CONFIG, changed)?;
            let what = format!("reload {} to be taken", turn + 1);
            self.until(&what, "/status", |after| is_judged(&before, after, false))?;
        }
        Ok(())
    }

    /// Waits until a change is shown, lets it settle, and closes its window.
    fn until(&mut self, what: &str, path: &str, shown: impl Fn(&Value) -> bool) -> Outcome<()> {
        wait_for(what, CHANGE, || {
            self.running.program.must_run()?;
            self.load.must_run()?;
            let found = shown(&get_json(&self.running.admin, path)?);
            std::thread::sleep(if found { AFTER } else { LOOK });
            Ok(found.then_some(()))
        })?;
        self.load.window("quiet")?;
        std::thread::sleep(QUIET);
        Ok(())
    }
}

fn table(report: &Report, rate: f64, changes: usize) -> Table {
    let failures = report.count("failures");
    let mut table = Table {
        scenario: CHANGES,
        head: vec![
            "window",
            "requests",
            "p50 µs",
            "p99 µs",
            "p99.9 µs",
            "worst µs",
        ],
        lines: vec![],
        notes: vec![format!(
            "{changes} swaps and {changes} reloads at {rate:.0} requests a second: {failures} failed, {} closed connections; \
             the load sent {} µs late at its 99 % quantile.",
            report.count("closed"),
            report.count("lag_p99_us"),
        )],
        data: json!({"failures": failures, "lag_us": report.count("lag_p99_us"), "rate": rate, "swaps": changes, "reloads": changes}),
    };
    table.notes.extend(report.reasons().map(String::from));
    for kind in KINDS {
        let window = report.window(kind);
        let figures = FIGURES.map(|key| window.count(key));
        table.data[kind] = FIGURES.iter().copied().zip(figures).collect();
        table.lines.push(
            std::iter::once(kind.to_owned())
                .chain(figures.map(|figure| figure.to_string()))
                .collect(),
        );
    }
    table
}
