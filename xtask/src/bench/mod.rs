//! `cargo xtask bench`: the same work given to this gateway, to the least a proxy can be, and to what people use now.
//!
//! Every contestant is a process of its own on core 0; the load and the upstream share core 1. All are up all the time
//! and are loaded in turn, round by round, so that whatever else the machine does falls on all of them.
//!
//! - [`options`]: the words of the command line; [`install`] brings the other gateways, [`tools`] finds them
//! - [`contestants`]: who takes part and how each is started; [`template`] fills their configurations in
//! - [`bed`]: where all of them run; [`check`] asks each whether it does its work before it is measured
//! - [`scenarios`]: what is asked of them; [`rounds`] asks; [`changes`] swaps and reloads under load
//! - [`figures`]: what a round came to; [`table`] and [`report`] print and write, [`verdict`] compares with the targets

mod bed;
mod changes;
mod check;
mod contestants;
mod figures;
mod install;
mod machine;
mod options;
mod report;
mod rounds;
mod scenarios;
mod table;
mod template;
mod tools;
mod verdict;

use std::process::ExitCode;

use crate::arguments::Arguments;
use crate::cargo;
use crate::failure::Outcome;
use crate::signals;

use bed::{Bed, Running};
use contestants::{Contestant, Setting};
use options::Options;
use report::Report;
use scenarios::{Over, Scenario};
use table::Table;
use tools::Tools;

/// Builds, starts, checks, measures and reports.
pub(crate) fn bench(mut arguments: Arguments) -> Outcome<ExitCode> {
    let options = Options::read(&mut arguments)?;
    arguments.finish()?;
    // Before the builds, because an installation that is interrupted must still tidy up.
    signals::catch()?;
    if options.install {
        install::bring()?;
    }
    let programs = [
        "bench-upstream",
        "bench-floor",
        "bench-load",
        "bench-certificate",
    ];
    let built = if options.gateway() {
        cargo::build_release(&programs)
    } else {
        cargo::build_programs(&programs)
    }?;
    signals::must_be_quiet()?;
    let tools = Tools::find(built)?;
    let field = who_takes_part(&options, &tools);
    let bed = Bed::make(&tools)?;
    let mut report = Report::new(machine::facts(&tools, &field, bed.pins.words())?);
    println!("{}", report.head());
    for contestant in &field {
        check::check(&bed, contestant)?;
    }
    let running: Vec<Running> = field
        .iter()
        .map(|contestant| bed.start(contestant, Setting::measured(1)))
        .collect::<Outcome<_>>()?;
    for scenario in &options.scenarios {
        for table in measure(&bed, &options, scenario, &running, &report)? {
            println!("{}", table.markdown());
            report.add(table);
        }
    }
    report.add(Table::of_memory(&running)?);
    println!("{}", report.end());
    report.write(&cargo::target()?.join("bench"))?;
    Ok(ExitCode::SUCCESS)
}

/// The chosen contestants that can be started; what is missing is said, one sentence each.
fn who_takes_part(options: &Options, tools: &Tools) -> Vec<&'static Contestant> {
    let mut field = Vec::new();
    for contestant in &options.contestants {
        match tools.missing(contestant) {
            None => field.push(*contestant),
            Some(reason) => println!("{} is left out: {reason}", contestant.name),
        }
    }
    field
}

fn measure(
    bed: &Bed<'_>,
    options: &Options,
    scenario: &'static Scenario,
    running: &[Running],
    report: &Report,
) -> Outcome<Vec<Table>> {
    println!("\n## {}: {}\n", scenario.name, scenario.says);
    match scenario.name {
        scenarios::CHANGES => changes::measure(bed, options),
        scenarios::ROUTES => {
            let many = rounds::with_many_routes(bed, running)?;
            let subjects: Vec<&Running> = running
                .iter()
                .filter(|one| one.contestant.routes)
                .chain(&many)
                .collect();
            rounds::measure(bed, options, scenario, &subjects, None).map(|table| vec![table])
        }
        scenarios::LATENCY => {
            let subjects: Vec<&Running> = running.iter().collect();
            let rate = rounds::moderate_rate(bed, options, &subjects, report)?;
            rounds::measure(bed, options, scenario, &subjects, Some(rate)).map(|table| vec![table])
        }
        _ => {
            let able = |one: &&Running| scenario.over == Over::Http || one.contestant.protocols;
            let subjects: Vec<&Running> = running.iter().filter(able).collect();
            rounds::measure(bed, options, scenario, &subjects, None).map(|table| vec![table])
        }
    }
}
