//! The load generator as seen from here: how it is started, and what its report says.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::failure::{Context, Outcome};
use crate::process::Program;

/// A running load.
#[derive(Debug)]
pub(crate) struct Load(Program);

/// What came back.
#[derive(Debug)]
pub(crate) struct Report(Value);

impl Load {
    /// Starts a load on `target`; `prefix` may pin it to a core.
    pub(crate) fn start(
        prefix: &[&str],
        built: &Path,
        target: &str,
        arguments: &[String],
    ) -> Outcome<Self> {
        let mut command = pinned(prefix, &built.join("bench-load"));
        command
            .args(["--target", target])
            .args(arguments)
            .stdout(Stdio::piped());
        Program::start("the load generator", &mut command).map(Self)
    }

    /// Fails when the load has ended early.
    pub(crate) fn must_run(&mut self) -> Outcome<()> {
        self.0.must_run()
    }

    /// From now on answers belong to the window `name`.
    pub(crate) fn window(&mut self, name: &str) -> Outcome<()> {
        self.0.say(name)
    }

    /// Ends the load and reads the report.
    pub(crate) fn finish(self, limit: Duration) -> Outcome<Report> {
        Report::read(&self.0.finish(limit)?)
    }

    /// Waits for the end of a load that measures for a fixed time, and reads the report.
    pub(crate) fn wait(self, limit: Duration) -> Outcome<Report> {
        Report::read(&self.0.wait(limit)?)
    }
}

impl Report {
    /// Reads what a program wrote.
    pub(crate) fn read(text: &str) -> Outcome<Self> {
        serde_json::from_str(text)
            .map(Self)
            .context("the report of the load generator cannot be read")
    }

    /// A count of the report.
    pub(crate) fn count(&self, key: &str) -> u64 {
        self.0[key].as_u64().unwrap_or(0)
    }

    /// A measure of the report.
    pub(crate) fn measure(&self, key: &str) -> f64 {
        self.0[key].as_f64().unwrap_or(0.0)
    }

    /// Words of the report; empty where there are none.
    pub(crate) fn words(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_default()
    }

    /// What came back in one window.
    pub(crate) fn window(&self, name: &str) -> Self {
        Self(self.0["windows"][name].clone())
    }

    /// An account of its own within the report.
    pub(crate) fn part(&self, name: &str) -> Self {
        Self(self.0[name].clone())
    }

    /// The first failures in words.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = &str> {
        self.list("reasons")
    }

    /// A list of words.
    pub(crate) fn list(&self, key: &str) -> impl Iterator<Item = &str> {
        let words = self.0[key].as_array().into_iter().flatten();
        words.filter_map(Value::as_str)
    }

    /// The versions that answered, and how often each.
    pub(crate) fn versions(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts("versions")
    }

    /// The same by configuration, where those mark their answers.
    pub(crate) fn configs(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts("configs")
    }

    fn counts(&self, key: &str) -> impl Iterator<Item = (&str, u64)> {
        let counts = self.0[key].as_object().into_iter().flatten();
        counts.map(|(name, count)| (name.as_str(), count.as_u64().unwrap_or(0)))
    }
}

/// `program`, behind the words of `prefix`.
pub(crate) fn pinned(prefix: &[&str], program: &Path) -> Command {
    match prefix {
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
        [] => Command::new(program),
    }
}
