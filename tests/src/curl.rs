//! curl, and what it tells about an exchange: the version it spoke, each head as it came, trailers, the body.

use std::ffi::OsStr;
use std::fs;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::child::{Finished, run};

/// One run of curl, before it starts.
pub struct Curl {
    command: Command,
    folder: TempDir,
}

/// What it got.
#[derive(Debug)]
pub struct CurlAnswer {
    /// How curl ended: 0 when it was content.
    pub code: Option<i32>,
    /// What it says about the transfer (`--write-out '%{json}'`): `http_version`, `num_connects` ...
    pub told: Value,
    /// The heads, interim ones first, and after the last one the trailers, as they came.
    pub heads: String,
    /// The body.
    pub body: Vec<u8>,
    /// What it complained about.
    pub complaints: String,
}

impl Curl {
    /// A run with these arguments. It reads no configuration of the machine, and knows no proxy.
    ///
    /// # Panics
    /// When there is no temporary folder.
    #[must_use]
    pub fn with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("the system has a temporary folder");
        let mut command = Command::new("curl");
        command
            .args(["--disable", "--silent", "--show-error", "--noproxy", "*"])
            .args(["--max-time", "150", "--write-out", "%{json}"])
            .arg("--dump-header")
            .arg(folder.path().join("heads"))
            .arg("--output")
            .arg(folder.path().join("body"))
            .args(arguments);
        Self { command, folder }
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Runs it, whatever becomes of it.
    #[must_use]
    #[track_caller]
    pub fn run(mut self) -> CurlAnswer {
        let finished: Finished = run(&mut self.command);
        let read = |name: &str| fs::read(self.folder.path().join(name)).unwrap_or_default();
        CurlAnswer {
            code: finished.status.code(),
            told: serde_json::from_slice(&finished.stdout).unwrap_or_default(),
            heads: String::from_utf8_lossy(&read("heads")).into_owned(),
            body: read("body"),
            complaints: finished.complaints(),
        }
    }

    /// Runs it and demands that it is content.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    #[track_caller]
    pub fn success(self) -> CurlAnswer {
        let answer = self.run();
        assert_eq!(answer.code, Some(0), "{answer:?}");
        answer
    }
}

impl CurlAnswer {
    /// The status of the last answer.
    #[must_use]
    pub fn status(&self) -> u64 {
        self.told["response_code"].as_u64().unwrap_or(0)
    }

    /// The version it spoke: `1.0`, `1.1` or `2`.
    #[must_use]
    pub fn version(&self) -> &str {
        self.told["http_version"].as_str().unwrap_or_default()
    }

    /// The values of a header field or a trailer, of all heads together.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&str> {
        let fields = self.heads.lines().filter_map(|line| line.split_once(':'));
        fields
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{error}: {self:?}"),
        }
    }
}
