//! Reloads and swaps while clients do everything they do: nothing is lost, nothing mixed, and nothing stays behind.
//!
//! Memory is measured twice in the same state: every version of the plugin has served, nobody is connected, the gateway rests
//! with the same configuration and the same version, and nothing old is held. Between the two lies the soak; before the
//! first a warm-up with every kind of change, for what a process pays once.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::account::Usage;
use crate::arguments::Arguments;
use crate::failure::{Context, Outcome};
use crate::signals;
use crate::swap::Version;

use super::bed::Bed;
use super::clients::{Clients, KINDS, Reports, Saturation};
use super::options::Options;
use super::plan::{Change, spread};
use super::session::{Serving, Session};
use super::texts;
use super::verdict::{Findings, judge};

/// The download takes this share of the time.
const DOWNLOAD: f64 = 0.95;
/// How many times as much the warm-up offers; a soak of seconds has no time for changes beside a crowd.
const CROWD: f64 = 8.0;
const SHORT_CROWD: f64 = 2.0;
/// Changes of one stretch and how long they took.
type Done = Vec<(&'static str, Duration)>;

/// Builds, starts, changes under load, and judges.
pub(super) fn soak(arguments: Arguments) -> Outcome<ExitCode> {
    let options = Options::read(arguments)?;
    let built = options.programs()?;
    signals::catch()?;
    let versions = versions(&built, options.digests)?;
    let mut bed = Bed::make(&built, &options, &versions[0])?;
    println!("{}", line("at the start", bed.usage()?));
    let saturation = saturate(&built, &bed, &options)?;
    let rates = saturation.rates();
    let mut serving = Serving {
        config: String::from("first"),
        stamp: versions[0].text.clone(),
    };
    warm_up(&built, &options, &mut bed, &versions, rates, &mut serving)?;
    let before = rest(&mut bed, &versions, &mut serving)?;
    println!("{}", line("warm, at rest", before));

    let begun = Instant::now();
    let (reports, done) = stretch(&built, &options, &mut bed, &versions, rates, &mut serving)?;
    let took = begun.elapsed();
    println!("{}", line("with the last answer", bed.usage()?));
    let after = rest(&mut bed, &versions, &mut serving)?;
    println!("{}", line("at rest again", after));
    bed.end()?;
    let well = judge(&Findings {
        options: &options,
        plan: &plan(&options),
        done: &done,
        took,
        rates,
        reports: &reports,
        before,
        after,
    });
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn versions(built: &Path, count: usize) -> Outcome<Vec<Version>> {
    let library = built.join("libstamp.so");
    let library =
        fs::read(&library).context(format_args!("{} cannot be read", library.display()))?;
    (1..=count)
        .map(|number| Version::patched(&library, number))
        .collect()
}

fn saturate(built: &Path, bed: &Bed, options: &Options) -> Outcome<Saturation> {
    let found = Saturation::find(built, &bed.folder, options, &bed.public, &bed.places.echo)?;
    println!(
        "a bare proxy answers {:.0} requests a second, in a closed loop",
        found.floor
    );
    for ((kind, at_most), rate) in KINDS.iter().zip(found.each).zip(found.rates()) {
        println!(
            "the gateway {at_most:.0} ({}), of which {rate:.0} are offered",
            kind.name
        );
    }
    Ok(found)
}

/// Every kind of change at least once, and every version, beside everything that lasts, and beside more than can be
/// answered, so that every connection is busy all the time: the allocator keeps what a crowd needed once, and no crowd of
/// the soak is to be the first of its size.
fn warm_up(
    built: &Path,
    options: &Options,
    bed: &mut Bed,
    versions: &[Version],
    rates: [f64; 3],
    serving: &mut Serving,
) -> Outcome<()> {
    let tenth = (
        options.download / 10,
        Duration::from_secs_f64(options.seconds / 10.0),
    );
    let crowd = if options.seconds < 30.0 {
        SHORT_CROWD
    } else {
        CROWD
    };
    let full = rates.map(|rate| rate * crowd);
    let mut clients = Clients::start(built, options, &bed.public, full, tenth)?;
    let mut session = Session {
        bed,
        clients: Some(&mut clients),
        versions,
        serving: serving.clone(),
        name: "warm",
        done: Vec::new(),
    };
    let shapes = (0..texts::SHAPES).step_by(options.reloads.max(1).div_ceil(100).clamp(2, 7));
    let ways = texts::WAYS.min(options.reloads / 6);
    let begun = Instant::now();
    let changes = shapes
        .map(Change::Reload)
        .chain((0..ways).map(Change::Wrong));
    for change in changes.chain((0..3).map(Change::Broken)) {
        session.make(change)?;
    }
    for turn in 0..versions.len() {
        session.make(Change::Swap(turn))?;
    }
    std::thread::sleep(tenth.1.saturating_sub(begun.elapsed()));
    *serving = session.serving;
    println!("warm after {:.0} s", begun.elapsed().as_secs_f64());
    clients.finish().map(drop)
}

/// What is measured: all changes of the plan, beside everything else.
fn stretch(
    built: &Path,
    options: &Options,
    bed: &mut Bed,
    versions: &[Version],
    rates: [f64; 3],
    serving: &mut Serving,
) -> Outcome<(Reports, Done)> {
    let mut session = Session {
        bed,
        clients: None,
        versions,
        serving: serving.clone(),
        name: "valid",
        done: Vec::new(),
    };
    let text = session.bed.places.valid("awake", 1);
    session.put(&text, "awake")?;
    let time = Duration::from_secs_f64(options.seconds);
    let download = (options.download, time.mul_f64(DOWNLOAD));
    let mut clients = Clients::start(built, options, &session.bed.public, rates, download)?;
    session.clients = Some(&mut clients);
    let begun = Instant::now();
    let plan = plan(options);
    for tenth in plan.chunks(plan.len().div_ceil(10).max(1)) {
        session.run(begun, tenth)?;
        let what = format!("after {} changes", session.done.len());
        println!("{}", line(&what, session.bed.usage()?));
    }
    std::thread::sleep(time.saturating_sub(begun.elapsed()));
    *serving = session.serving;
    let done = session.done;
    Ok((clients.finish()?, done))
}

fn plan(options: &Options) -> Vec<(Duration, Change)> {
    let time = Duration::from_secs_f64(options.seconds);
    spread(time, options.reloads, options.swaps)
}

/// The same state every time; what the gateway uses in it.
fn rest(bed: &mut Bed, versions: &[Version], serving: &mut Serving) -> Outcome<Usage> {
    let mut session = Session {
        bed,
        clients: None,
        versions,
        serving: serving.clone(),
        name: "rest",
        done: Vec::new(),
    };
    // Any but the first and then the first, so that a swap there is whatever served last.
    for turn in [0, versions.len() * 4 - 1] {
        session.make(Change::Swap(turn))?;
    }
    let text = session.bed.places.resting();
    session.put(&text, "resting")?;
    *serving = session.serving;
    bed.usage_at_rest()
}

fn line(what: &str, usage: Usage) -> String {
    let Usage {
        anonymous_kb,
        resident_kb,
        images,
        threads,
        descriptors,
        ..
    } = usage;
    format!(
        "{what:<22}{anonymous_kb:>8} KB anonymous {resident_kb:>8} KB resident {images:>3} images {threads:>3} threads {descriptors:>5} descriptors"
    )
}
