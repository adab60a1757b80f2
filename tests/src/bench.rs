//! The programs of the benchmarks, as tests use them: crowds of connections, loads in an open loop, and an upstream that
//! keeps pace with both. Each is a process of its own, so that what the gateway uses is its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::artifacts::bench_program;
use crate::child::Running;
use crate::eventually::wait_for;

/// Connections that are held rather than used; `tests/bench/load/crowd` says in which manners.
pub struct Crowd(Running);

/// An upstream for loads; `tests/bench/upstream` says what it answers.
pub struct BenchUpstream {
    _running: Running,
    address: SocketAddr,
    _folder: TempDir,
}

impl Crowd {
    /// Has so many connections come, and waits for nothing.
    #[must_use]
    #[track_caller]
    pub fn start(target: SocketAddr, manner: &str, count: usize, further: &[&str]) -> Self {
        let mut command = Command::new(bench_program("bench-load"));
        command
            .args(["--target", &target.to_string(), "--crowd", manner])
            .args(["--connections", &count.to_string(), "--until-eof"])
            .args(further);
        Self(Running::start(&mut command))
    }

    /// Waits until all have come that will; how many did.
    ///
    /// # Panics
    /// When they do not in time.
    #[must_use]
    #[track_caller]
    pub fn held(&self) -> usize {
        number(&self.0.line_after("held "))
    }

    /// Has everybody ask again; how many were answered.
    ///
    /// # Panics
    /// When somebody is not answered in time.
    #[must_use]
    #[track_caller]
    pub fn ask_again(&mut self) -> usize {
        self.0.say("again");
        number(&self.0.line_after("asked "))
    }

    /// Waits until the last has been sent away; how many were.
    ///
    /// # Panics
    /// When somebody is not in time.
    #[must_use]
    #[track_caller]
    pub fn gone(&self) -> usize {
        number(&self.0.line_after("gone "))
    }

    /// Ends those who are left, and tells what became of all of them.
    ///
    /// # Panics
    /// When the program does not tell.
    #[must_use]
    #[track_caller]
    pub fn finish(self) -> Value {
        let text = self.0.finish().success().text();
        let last = text.lines().last().unwrap_or_default();
        match serde_json::from_str(last) {
            Ok(report) => report,
            Err(error) => panic!("{last:?} is no report: {error}"),
        }
    }
}

/// Starts a load; its report is on its standard output when it has ended.
#[must_use]
#[track_caller]
pub fn load(target: SocketAddr, words: &[&str]) -> Running {
    let mut command = Command::new(bench_program("bench-load"));
    Running::start(command.args(["--target", &target.to_string()]).args(words))
}

impl BenchUpstream {
    /// Starts it on a free port.
    ///
    /// # Panics
    /// When it does not serve.
    #[must_use]
    #[track_caller]
    pub fn start(further: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("the system has a temporary folder");
        let announce = folder.path().join("announce.json");
        let mut command = Command::new(bench_program("bench-upstream"));
        command.arg("--announce").arg(&announce).args(further);
        let mut running = Running::start(&mut command);
        let address = wait_for("the upstream to announce itself", || {
            assert_eq!(running.ended(), None, "{running:?}");
            announced(&announce)
        });
        Self {
            _running: running,
            address,
            _folder: folder,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn announced(file: &Path) -> Option<SocketAddr> {
    let ready: Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    ready["listeners"][0]["address"].as_str()?.parse().ok()
}

#[track_caller]
fn number(text: &str) -> usize {
    match text.parse() {
        Ok(number) => number,
        Err(error) => panic!("{text:?} is no number: {error}"),
    }
}
