//! `cargo xtask bench`: CPU per request of the gateway against a bare hyper proxy, one core each.
//!
//! Both proxies are up all the time and are loaded in turn, round by round, so that whatever else the machine does
//! falls on both. The figure is what the proxy's own process spent, which does not depend on how fast the load is.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use crate::arguments::Arguments;
use crate::cargo;
use crate::failure::{Failure, Outcome};
use crate::folder::Folder;
use crate::load::{Load, Report, pinned};
use crate::process::Program;
use crate::run::start_gateway;
use crate::signals;

/// How much longer than planned a round may take: an answer that never comes is counted after a minute.
const LATE: Duration = Duration::from_secs(120);

/// Runs the rounds and prints the table.
pub(crate) fn bench(mut arguments: Arguments) -> Outcome<ExitCode> {
    let rounds = arguments.value("--rounds")?.unwrap_or(7_usize).max(1);
    let seconds = arguments.value("--seconds")?.unwrap_or(3.0_f64);
    let connections = arguments.value("--connections")?.unwrap_or(32_u32);
    let floor_only = arguments.flag("--floor-only");
    arguments.finish()?;

    let programs = ["bench-upstream", "bench-floor", "bench-load"];
    let built = if floor_only {
        cargo::build_programs(&programs)
    } else {
        cargo::build_release(&programs)
    }?;
    signals::catch()?;
    let folder = Folder::create("bench")?;
    let pins = Pins::of_machine();
    println!(
        "{rounds} rounds of {seconds} s each, {connections} connections, {}",
        pins.words()
    );

    let (_upstream, upstream) = start(pins.load, &built, &folder, "upstream", &["bench-upstream"])?;
    let floor = ["bench-floor", "--workers", "1", "--upstream", &upstream];
    let other = if floor_only {
        Proxy::new(
            "floor again",
            start(pins.proxy, &built, &folder, "again", &floor)?,
        )
    } else {
        Proxy::new(
            "swapgate",
            start_ours(pins.proxy, &built, &folder, &upstream)?,
        )
    };
    let mut proxies = [
        Proxy::new(
            "floor",
            start(pins.proxy, &built, &folder, "floor", &floor)?,
        ),
        other,
    ];
    for _ in 0..rounds {
        // First, second, second, first: a machine that grows warmer or busier during a round burdens both alike.
        let mut parts = [Vec::new(), Vec::new()];
        for at in [0, 1, 1, 0] {
            parts[at].push(proxies[at].ask(&built, pins.load, seconds / 2.0, connections)?);
        }
        for (proxy, parts) in proxies.iter_mut().zip(&parts) {
            proxy.note(parts);
        }
    }
    print!("{}", table(&proxies[0], &proxies[1]));
    Ok(ExitCode::SUCCESS)
}

/// Words put before programs to keep them on a core.
struct Pins {
    proxy: &'static [&'static str],
    load: &'static [&'static str],
}

impl Pins {
    fn of_machine() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let quiet =
            |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let taskset = quiet(Command::new("taskset").args(["-c", "1", "true"]))
            .is_ok_and(|status| status.success());
        if cores < 2 || !taskset {
            return Self {
                proxy: &[],
                load: &[],
            };
        }
        Self {
            proxy: &["taskset", "-c", "0"],
            load: &["taskset", "-c", "1"],
        }
    }

    fn words(&self) -> &'static str {
        if self.proxy.is_empty() {
            "no pinning to cores (one core only, or no taskset)"
        } else {
            "proxies on core 0, load generator and upstream on core 1"
        }
    }
}

type Started = (Program, String);

fn start(
    pin: &[&str],
    built: &Path,
    folder: &Folder,
    name: &'static str,
    words: &[&str],
) -> Outcome<Started> {
    let file = folder.file(&format!("{name}.json"));
    let [program, arguments @ ..] = words else {
        return Err(Failure::new("no program to start"));
    };
    let mut command = pinned(pin, &built.join(program));
    command.args(arguments).arg("--announce").arg(&file);
    let mut program = Program::start(name, &mut command)?;
    let announced = program.announced(&file)?;
    Ok((program, announced.public))
}

fn start_ours(pin: &[&str], built: &Path, folder: &Folder, upstream: &str) -> Outcome<Started> {
    let config = folder.write("swapgate.yaml", config(upstream))?;
    let mut gateway = start_gateway(pin, built, folder, &config)?;
    let announced = gateway.announced(&folder.file("gateway.json"))?;
    Ok((gateway, announced.public))
}

/// One worker, one route, no plugins: the least the gateway can be asked to do.
fn config(upstream: &str) -> String {
    format!(
        "format: 1
workers: 1
listeners: [{{name: public, address: \"127.0.0.1:0\"}}]
admin: {{address: \"127.0.0.1:0\"}}
plugins_dir: plugins.d
state_dir: state
upstreams: [{{name: plain, targets: [{{address: \"{upstream}\"}}]}}]
services: [{{name: plain, upstream: plain}}]
routes: [{{name: plain, service: plain, paths: [\"/\"]}}]
"
    )
}

/// One proxy and what was measured of it, round by round.
struct Proxy {
    name: &'static str,
    process: Program,
    address: String,
    cpu_us: Vec<f64>,
    rate: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Proxy {
    fn new(name: &'static str, (process, address): Started) -> Self {
        Self {
            name,
            process,
            address,
            cpu_us: vec![],
            rate: vec![],
            p50: vec![],
            p99: vec![],
        }
    }

    fn ask(&self, built: &Path, pin: &[&str], seconds: f64, connections: u32) -> Outcome<Report> {
        let arguments = [
            ("--seconds", seconds.to_string()),
            ("--warmup", String::from("0.3")),
            ("--connections", connections.to_string()),
            ("--cpu-of", self.process.pid().to_string()),
            ("--path", String::from("/users/42")),
        ];
        let arguments = arguments
            .map(|(name, value)| [String::from(name), value])
            .concat();
        let report = Load::start(pin, built, &self.address, &arguments)?
            .wait(Duration::from_secs_f64(seconds) + LATE)?;
        if report.count("failures") > 0 || report.count("requests") == 0 {
            let reason = report.reasons().next().unwrap_or("nothing was answered");
            return Err(Failure::new(format!(
                "a round against {} had failures, so it says nothing: {reason}",
                self.name
            )));
        }
        Ok(report)
    }

    fn note(&mut self, parts: &[Report]) {
        let sum = |key| parts.iter().map(|part| part.measure(key)).sum::<f64>();
        let mean = |key| {
            median(
                &parts
                    .iter()
                    .map(|part| part.measure(key))
                    .collect::<Vec<_>>(),
            )
        };
        self.cpu_us.push(sum("cpu_seconds") * 1e6 / sum("requests"));
        self.rate.push(sum("requests") / sum("seconds"));
        self.p50.push(mean("p50_us"));
        self.p99.push(mean("p99_us"));
    }

    fn row(&self) -> String {
        let (low, high) = spread(&self.cpu_us);
        format!(
            "| {:<11} | {:>6.2} | {low:>6.2} to {high:>6.2} | {:>8.0} | {:>6.0} | {:>6.0} |\n",
            self.name,
            median(&self.cpu_us),
            median(&self.rate),
            median(&self.p50),
            median(&self.p99),
        )
    }
}

fn table(floor: &Proxy, other: &Proxy) -> String {
    let ratios: Vec<f64> = other
        .cpu_us
        .iter()
        .zip(&floor.cpu_us)
        .map(|(other, floor)| other / floor)
        .collect();
    let (low, high) = spread(&ratios);
    format!(
        "
| proxy       | CPU µs | spread           |       /s | p50 µs | p99 µs |
|-------------|-------:|-----------------:|---------:|-------:|-------:|
{}{}
CPU per request, {} / floor: {:.3} (median of the rounds' own ratios; {low:.3} to {high:.3})
",
        floor.row(),
        other.row(),
        other.name,
        median(&ratios),
    )
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
    }
}

fn spread(values: &[f64]) -> (f64, f64) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::median;

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
    }
}
