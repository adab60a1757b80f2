//! Swaps and reloads while a load runs, for as long as one likes.
//!
//! It fails on one failed request, one answer that mixes two versions, one swap that never becomes active, and one
//! reload that is taken or refused when it should not be. Memory is printed for a person to judge.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use serde_json::Value;

use crate::account::Usage;
use crate::arguments::Arguments;
use crate::cargo;
use crate::failure::{Context, Failure, Outcome};
use crate::folder::Folder;
use crate::http::get_json;
use crate::load::{Load, Report};
use crate::process::{Program, wait_for};
use crate::signals;
use crate::swap::{Version, Way};

use super::{DRAIN, start_gateway_logging};

/// How long one change may take until the gateway shows it.
const CHANGE: Duration = Duration::from_secs(60);

/// Builds, starts, changes under load, and judges.
pub(super) fn soak(mut arguments: Arguments) -> Outcome<ExitCode> {
    let swaps = arguments.value("--swaps")?;
    let reloads = arguments.value("--reloads")?;
    let digests = arguments.value("--digests")?.unwrap_or(2_usize).max(2);
    let connections = arguments.value("--connections")?.unwrap_or(16_u32);
    arguments.finish()?;
    let swaps = swaps.unwrap_or(if reloads.is_some() { 0 } else { 200_usize });

    let built = cargo::build_release(&["bench-upstream", "bench-load"])?;
    signals::catch()?;
    let library = read(&built.join("libstamp.so"))?;
    let mut bed = Bed::make(&built, &library, connections)?;
    println!("{:<22}{}", "at the start", bed.usage()?);
    bed.swap(&library, swaps, digests)?;
    bed.reload(reloads.unwrap_or(0_usize))?;
    bed.end()
}

/// Everything that runs during a soak. Fields end in this order: first who asks, last who answers.
struct Bed {
    load: Load,
    gateway: Program,
    _upstream: Program,
    folder: Folder,
    admin: String,
    target: String,
    plugin: PathBuf,
}

impl Bed {
    fn make(built: &Path, library: &[u8], connections: u32) -> Outcome<Self> {
        let folder = Folder::create("soak")?;
        let plugin = folder.write("plugins.d/libstamp.so", Version::patched(library, 1)?.bytes)?;
        let announce = folder.file("upstream.json");
        let mut command = Command::new(built.join("bench-upstream"));
        let mut upstream = Program::start(
            "the upstream",
            command.arg("--echo").arg("--announce").arg(&announce),
        )?;
        let target = upstream.announced(&announce)?.public;
        let config = folder.write("swapgate.yaml", config(&target, "30s"))?;
        let mut gateway = start_gateway_logging(built, &folder, &config)?;
        let announced = gateway.announced(&folder.file("gateway.json"))?;
        let admin = announced
            .admin
            .ok_or_else(|| Failure::new("the gateway announced no admin listener"))?;
        let words = ["--until-eof", "--check-stamp", "--connections"].map(String::from);
        let words = [words.as_slice(), &[connections.to_string()]].concat();
        let load = Load::start(&[], built, &announced.public, &words)?;
        Ok(Self {
            load,
            gateway,
            _upstream: upstream,
            folder,
            admin,
            target,
            plugin,
        })
    }

    /// Swaps between versions, each in another way than the one before.
    fn swap(&mut self, library: &[u8], swaps: usize, digests: usize) -> Outcome<()> {
        for turn in 0..swaps {
            let version = Version::patched(library, (turn + 1) % digests + 1)?;
            Way::of_turn(turn).put(&self.folder, &self.plugin, &version.bytes)?;
            let what = format!(
                "swap {} ({:?}) to become active",
                turn + 1,
                Way::of_turn(turn)
            );
            self.until(&what, "/plugins", |plugins| {
                is_active(plugins, &version.digest)
            })?;
            self.progress("swaps", turn + 1, swaps)?;
        }
        Ok(())
    }

    /// Reloads the configuration; every tenth one is invalid and must be refused.
    fn reload(&mut self, reloads: usize) -> Outcome<()> {
        for turn in 1..=reloads {
            let before = get_json(&self.admin, "/status")?;
            let invalid = turn % 10 == 0;
            let response = if invalid {
                String::from("soon")
            } else {
                format!("{}s", 30 + turn % 7)
            };
            self.folder
                .write("swapgate.yaml", config(&self.target, &response))?;
            let what = format!(
                "reload {turn} to be {}",
                if invalid { "refused" } else { "taken" }
            );
            self.until(&what, "/status", |after| is_judged(&before, after, invalid))?;
            self.progress("reloads", turn, reloads)?;
        }
        Ok(())
    }

    /// Waits until the admin listener shows what `shown` looks for; everything has to run meanwhile.
    fn until(&mut self, what: &str, path: &str, shown: impl Fn(&Value) -> bool) -> Outcome<()> {
        let mut last = Value::Null;
        let found = wait_for(what, CHANGE, || {
            self.gateway.must_run()?;
            self.load.must_run()?;
            last = get_json(&self.admin, path)?;
            Ok(shown(&last).then_some(()))
        });
        found.map_err(|failure| Failure::new(format!("{failure}; {path} says {last}")))
    }

    fn progress(&self, what: &str, done: usize, all: usize) -> Outcome<()> {
        // Ten lines, and the first change, whose figures hold what is paid only once.
        if done == 1 || done == all || done.is_multiple_of(all.div_ceil(10)) {
            println!("{:<22}{}", format!("after {done} {what}"), self.usage()?);
        }
        Ok(())
    }

    fn usage(&self) -> Outcome<Usage> {
        Usage::of(self.gateway.pid(), &self.folder.state())
    }

    fn end(self) -> Outcome<ExitCode> {
        let report = self.load.finish(DRAIN)?;
        println!(
            "{:<22}{}",
            "at the end",
            Usage::of(self.gateway.pid(), &self.folder.state())?
        );
        let status = self.gateway.stop(DRAIN)?;
        print_report(&report);
        if !status.success() {
            return Err(Failure::new(format!(
                "the gateway did not end well after SIGTERM ({status})"
            )));
        }
        if report.count("requests") == 0 {
            return Err(Failure::new(
                "not one request was answered, so nothing was shown",
            ));
        }
        Ok(if report.count("failures") == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn read(library: &Path) -> Outcome<Vec<u8>> {
    std::fs::read(library).context(format_args!("{} cannot be read", library.display()))
}

fn print_report(report: &Report) {
    println!(
        "\n{} requests in {:.1} s ({:.0}/s), p50 {} µs, p99 {} µs, worst {} µs",
        report.count("requests"),
        report.measure("seconds"),
        report.measure("requests") / report.measure("seconds"),
        report.count("p50_us"),
        report.count("p99_us"),
        report.count("max_us"),
    );
    for (version, count) in report.versions() {
        println!("  {count:>10} by version {version}");
    }
    println!(
        "{} failed, {} of them answers from two versions, {} connections closed by the gateway",
        report.count("failures"),
        report.count("mixed"),
        report.count("closed"),
    );
    report.reasons().for_each(|reason| println!("  {reason}"));
}

/// Whether some image with this digest is active. The digest may be shown shortened or with its kind in front.
pub(crate) fn is_active(plugins: &Value, digest: &str) -> bool {
    match plugins {
        Value::Array(items) => items.iter().any(|item| is_active(item, digest)),
        Value::Object(fields) => {
            let shown = fields.get("digest").and_then(Value::as_str).unwrap_or("");
            let shown = shown.trim_start_matches("sha256:");
            let same = shown.len() >= 12 && digest.starts_with(shown);
            let active = fields.get("state").and_then(Value::as_str) == Some("active");
            (same && active) || fields.values().any(|field| is_active(field, digest))
        }
        _ => false,
    }
}

/// Whether the gateway has come to a verdict since `before`, and the right one: a new generation, or the same one with
/// another account of the last change.
pub(crate) fn is_judged(before: &Value, after: &Value, invalid: bool) -> bool {
    let newer = after["generation"].as_u64() > before["generation"].as_u64();
    let spoken = after["last_change"] != before["last_change"];
    if invalid { spoken && !newer } else { newer }
}

fn config(upstream: &str, response: &str) -> String {
    format!(
        "format: 1
listeners: [{{name: public, address: \"127.0.0.1:0\"}}]
admin: {{address: \"127.0.0.1:0\"}}
plugins_dir: plugins.d
state_dir: state
upstreams: [{{name: echo, targets: [{{address: \"{upstream}\"}}]}}]
services: [{{name: echo, upstream: echo, timeouts: {{response: {response}}}}}]
routes: [{{name: echo, service: echo, paths: [\"/\"], plugins: [{{name: stamp}}]}}]
"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{is_active, is_judged};

    #[test]
    fn an_active_image_is_found_by_its_digest() {
        let digest = "0123456789abcdef";
        let shown = |digest: &str, state: &str| json!({"plugins": [{"images": [{"digest": digest, "state": state}]}]});
        assert!(is_active(&shown(digest, "active"), digest));
        assert!(is_active(&shown("sha256:0123456789ab", "active"), digest));
        assert!(!is_active(&shown(digest, "draining"), digest));
        assert!(!is_active(&shown("", "active"), digest));
    }

    #[test]
    fn a_verdict_is_a_new_generation_or_a_new_refusal() {
        let status = |generation: u64, outcome: &str| json!({"generation": generation, "last_change": outcome});
        assert!(is_judged(&status(1, "a"), &status(2, "b"), false));
        assert!(!is_judged(&status(1, "a"), &status(1, "b"), false));
        assert!(is_judged(&status(1, "a"), &status(1, "b"), true));
        assert!(!is_judged(&status(1, "a"), &status(2, "b"), true));
    }
}
