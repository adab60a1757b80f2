//! curl, and what it tells about an exchange: the version it spoke, each head as it came, trailers, the body.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::child::Running;

/// One run of curl, before it starts.
pub struct Curl {
    arguments: Vec<OsString>,
    folder: TempDir,
    input: Option<File>,
}

/// What it got.
pub struct CurlAnswer {
    /// How curl ended: 0 when it was content.
    pub code: Option<i32>,
    /// What it says about each transfer (`--write-out '%{json}'`): `http_version`, `num_connects` ...
    pub transfers: Vec<Value>,
    /// The heads, interim ones first, and after the last one the trailers, as they came.
    pub heads: String,
    /// The body of the first transfer; further ones need an `--output` of their own.
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
        Self {
            arguments: arguments.iter().map(OsString::from).collect(),
            folder,
            input: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(OsString::from));
        self
    }

    /// What it reads from its standard input.
    ///
    /// # Panics
    /// When there is no such file.
    #[must_use]
    #[track_caller]
    pub fn input(mut self, file: &Path) -> Self {
        self.input = Some(File::open(file).expect("the file is there"));
        self
    }

    /// Runs it, whatever becomes of it.
    #[must_use]
    #[track_caller]
    pub fn run(mut self) -> CurlAnswer {
        let input = self.input.take().map_or_else(Stdio::piped, Stdio::from);
        let mut command = self.command(&self.folder.path().join("body"));
        command
            .args(["--write-out", "%{json}", "--dump-header"])
            .arg(self.folder.path().join("heads"));
        let finished = Running::start_with_input(&mut command, input).finish();
        let read = |name: &str| fs::read(self.folder.path().join(name)).unwrap_or_default();
        CurlAnswer {
            code: finished.status.code(),
            transfers: serde_json::Deserializer::from_slice(&finished.stdout)
                .into_iter()
                .map_while(Result::ok)
                .collect(),
            heads: String::from_utf8_lossy(&read("heads")).into_owned(),
            body: read("body"),
            complaints: finished.complaints(),
        }
    }

    /// Starts it, with the body on its standard output, so that lines of it can be waited for while they come.
    #[must_use]
    #[track_caller]
    pub fn streaming(self) -> Running {
        Running::start(self.command("-".as_ref()).arg("--no-buffer"))
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

    /// curl as it is started, with the body of the first transfer going to a file.
    fn command(&self, body: &Path) -> Command {
        let mut command = Command::new("curl");
        command
            .args(["--disable", "--silent", "--show-error", "--noproxy", "*"])
            .args(["--max-time", "150", "--output"])
            .arg(body)
            .args(&self.arguments);
        command
    }
}

impl fmt::Debug for CurlAnswer {
    /// Without the body, which may be large, and without most of what curl tells.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |key: &str| &self.last()[key];
        writeln!(
            f,
            "curl ended with {:?}, version {}, {}, {} bytes: {}",
            self.code,
            told("http_version"),
            told("url"),
            self.body.len(),
            told("errormsg")
        )?;
        f.write_str(&self.heads)
    }
}

impl CurlAnswer {
    /// The status of the last answer.
    #[must_use]
    pub fn status(&self) -> u64 {
        self.last()["response_code"].as_u64().unwrap_or(0)
    }

    /// The version it spoke: `1`, `1.1` or `2`.
    #[must_use]
    pub fn version(&self) -> &str {
        self.last()["http_version"].as_str().unwrap_or_default()
    }

    fn last(&self) -> &Value {
        self.transfers.last().unwrap_or(&Value::Null)
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
