//! Three times as many requests as the upstream can answer.
//!
//! The upstream has so many slots, and each request holds one for as long as the work takes; what it cannot answer at once
//! waits there, without end. The gateway admits as many as there are slots and refuses the excess. The load is an open loop:
//! requests are due whatever became of those before, and are timed from when they were due.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::account::Usage;
use crate::arguments::Arguments;
use crate::cargo;
use crate::failure::{Failure, Outcome};
use crate::folder::Folder;
use crate::http::{get, get_json};
use crate::load::{Load, Report};
use crate::process::Program;
use crate::signals;

use super::{DRAIN, start_gateway_logging};

const SLOTS: u64 = 20;
const WORK: Duration = Duration::from_millis(10);
/// Requests a second that are due.
const OFFERED: u64 = 6_000;
/// As many more as the upstream answers in one go: who waits for those waits for no longer than its work takes.
const QUEUE: u64 = 20;
/// Enough that one is always free for the next request.
const CONNECTIONS: u64 = 400;
/// Before anything is measured.
const WARM_UP: Duration = Duration::from_secs(2);
/// Between two questions to the admin listener.
const PAUSE: Duration = Duration::from_millis(50);

/// Least share of what the upstream can answer.
const GOODPUT: f64 = 0.85;
/// Least share of what was due that must have been offered, or it was no such overload.
const DUE: f64 = 0.95;
/// Longest time of all refusals but one of a thousand. The very worst is told and not judged: gateway, upstream and load share
/// two cores, and one of them that is not given a core for a turn of the scheduler is late by that turn.
const REFUSAL: Duration = Duration::from_millis(10);
/// Longest time of any answer of the admin listener.
const ADMIN: Duration = Duration::from_millis(100);
/// What the gateway's memory may grow by.
const MEMORY_KB: u64 = 64 << 10;

/// Builds, overloads, and judges.
pub(super) fn soak(mut arguments: Arguments) -> Outcome<ExitCode> {
    let seconds = arguments.value("--seconds")?.unwrap_or(60_u64);
    let programs: Option<PathBuf> = arguments.value("--programs")?;
    arguments.finish()?;
    let built = match programs {
        Some(folder) => folder,
        None => cargo::build_release(&["bench-upstream", "bench-load"])?,
    };
    signals::catch()?;
    let bed = Bed::make(&built)?;
    let seen = bed.overload(&built, Duration::from_secs(seconds))?;
    let well = seen.judge();
    let status = bed.gateway.stop(DRAIN)?;
    if !status.success() {
        let text = format!("the gateway did not end well after SIGTERM ({status})");
        return Err(Failure::new(text));
    }
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Everything that runs meanwhile.
struct Bed {
    gateway: Program,
    _upstream: Program,
    folder: Folder,
    public: String,
    admin: String,
    target: String,
}

/// What was seen.
struct Seen {
    report: Report,
    /// How long the slowest answer of the admin listener took, and how many there were.
    admin: (Duration, u64),
    /// Private memory before, and the most there was, in KB.
    memory: (u64, u64),
    /// The most requests that were at the upstream at once, by its own count.
    most_inside: u64,
}

impl Bed {
    fn make(built: &Path) -> Outcome<Self> {
        let folder = Folder::create("overload")?;
        let announce = folder.file("upstream.json");
        let mut command = Command::new(built.join("bench-upstream"));
        command
            .args(["--slots", &SLOTS.to_string()])
            .args(["--work-us", &WORK.as_micros().to_string()])
            .arg("--announce")
            .arg(&announce);
        let mut upstream = Program::start("the upstream", &mut command)?;
        let target = upstream.announced(&announce)?.public;
        let config = folder.write("swapgate.yaml", config(&target))?;
        let mut gateway = start_gateway_logging(built, &folder, &config)?;
        let announced = gateway.announced(&folder.file("gateway.json"))?;
        let admin = announced
            .admin
            .ok_or_else(|| Failure::new("the gateway announced no admin listener"))?;
        Ok(Self {
            gateway,
            _upstream: upstream,
            folder,
            public: announced.public,
            admin,
            target,
        })
    }

    fn overload(&self, built: &Path, time: Duration) -> Outcome<Seen> {
        let before = self.private_kb()?;
        let words = [
            format!("--seconds {}", time.as_secs_f64()),
            format!("--warmup {}", WARM_UP.as_secs_f64()),
            format!("--connections {CONNECTIONS}"),
            format!("--rate {OFFERED}"),
            String::from("--refusals"),
        ];
        let words: Vec<String> = words
            .iter()
            .flat_map(|words| words.split(' ').map(String::from))
            .collect();
        let load = Load::start(&[], built, &self.public, &words)?;
        let over = AtomicBool::new(false);
        let (report, watched) = thread::scope(|scope| {
            let watching = scope.spawn(|| self.watch(&over));
            let report = load.wait(WARM_UP + time + DRAIN);
            over.store(true, Ordering::SeqCst);
            let watched = watching.join();
            (report, watched)
        });
        let (admin, most) = watched.map_err(|_| Failure::new("whoever watched panicked"))??;
        let inside = get_json(&self.target, "/count")?;
        Ok(Seen {
            report: report?,
            admin,
            memory: (before, most),
            most_inside: inside["most_inside"].as_u64().unwrap_or(u64::MAX),
        })
    }

    /// Asks the admin listener and looks at the memory until it is over.
    fn watch(&self, over: &AtomicBool) -> Outcome<((Duration, u64), u64)> {
        let (mut slowest, mut count, mut most) = (Duration::ZERO, 0, 0);
        while !over.load(Ordering::SeqCst) {
            for path in ["/healthz", "/status", "/metrics"] {
                let asked = Instant::now();
                let answer = get(&self.admin, path, &[]);
                let status = answer.map_or(0, |answer| answer.status);
                if status != 200 {
                    return Err(Failure::new(format!(
                        "the admin listener answered {path} with {status} (0: not at all)"
                    )));
                }
                slowest = slowest.max(asked.elapsed());
                count += 1;
            }
            most = most.max(self.private_kb()?);
            thread::sleep(PAUSE);
        }
        Ok(((slowest, count), most))
    }

    fn private_kb(&self) -> Outcome<u64> {
        Usage::of(self.gateway.pid(), &self.folder.state()).map(|usage| usage.private_kb)
    }
}

impl Seen {
    /// Prints every figure with its bound; whether all are within.
    fn judge(&self) -> bool {
        let Self { report, .. } = self;
        let refused = report.part("refused");
        let seconds = report.measure("seconds");
        let possible = SLOTS as f64 / WORK.as_secs_f64();
        let goodput = report.measure("requests") / seconds;
        let offered = (report.count("requests") + refused.count("requests")) as f64;
        let due = OFFERED as f64 * seconds;
        println!(
            "{} answered and {} refused in {seconds:.1} s, {} failed; the load was late by {} µs (p99)",
            report.count("requests"),
            refused.count("requests"),
            report.count("failures"),
            report.count("lag_p99_us"),
        );
        report.reasons().for_each(|reason| println!("  {reason}"));
        println!(
            "answers took {} µs (p50) and {} µs (p99); refusals {} µs (p50), {} µs (p99), {} µs (p99.9), {} µs (worst)",
            report.count("p50_us"),
            report.count("p99_us"),
            refused.count("p50_us"),
            refused.count("p99_us"),
            refused.count("p999_us"),
            refused.count("max_us"),
        );
        let grown = self.memory.1.saturating_sub(self.memory.0);
        let micros = |time: Duration| time.as_micros();
        let slow = u128::from(refused.count("p999_us"));
        [
            told(
                "requests that were answered or refused, of those that were due",
                format!("{offered:.0} of {due:.0}"),
                offered >= DUE * due,
            ),
            told(
                "answers a second, of those that are possible",
                format!("{goodput:.0} of {possible:.0}"),
                goodput >= GOODPUT * possible,
            ),
            told(
                "requests that failed",
                report.count("failures"),
                report.count("failures") == 0,
            ),
            told(
                "refusals, so that there was an overload",
                refused.count("requests"),
                refused.count("requests") > 0,
            ),
            told("µs for a refusal (p99.9)", slow, slow <= micros(REFUSAL)),
            told(
                "µs for the slowest answer of the admin listener",
                format!("{} of {}", micros(self.admin.0), self.admin.1),
                self.admin.0 <= ADMIN,
            ),
            told("KB of memory more than before", grown, grown <= MEMORY_KB),
            told(
                "requests at the upstream at once",
                self.most_inside,
                self.most_inside <= SLOTS,
            ),
        ]
        .into_iter()
        .all(|well| well)
    }
}

fn told(what: &str, figure: impl std::fmt::Display, well: bool) -> bool {
    let verdict = if well { "good  " } else { "MISSED" };
    println!("{verdict} {figure} {what}");
    well
}

fn config(upstream: &str) -> String {
    format!(
        "format: 1
listeners: [{{name: public, address: \"127.0.0.1:0\"}}]
admin: {{address: \"127.0.0.1:0\"}}
plugins_dir: plugins.d
state_dir: state
upstreams:
  - name: slots
    targets: [{{address: \"{upstream}\"}}]
    concurrency: {{requests: {SLOTS}, queue: {QUEUE}, wait: 1s}}
services: [{{name: slots, upstream: slots}}]
routes: [{{name: slots, service: slots, paths: [\"/\"]}}]
"
    )
}
