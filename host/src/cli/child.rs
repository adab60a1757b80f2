//! A gateway as a child of an author's tool: started in a folder of its own, its log read line by line.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long a gateway may take until it serves, and to end.
const START: Duration = Duration::from_secs(60);
const END: Duration = Duration::from_secs(5);
/// Between two looks for what the child writes.
const PAUSE: Duration = Duration::from_millis(5);

/// A running gateway; dropping it ends it.
pub(crate) struct Gateway {
    child: Child,
    lines: Receiver<String>,
    /// Where its first listener is.
    pub(crate) public: SocketAddr,
    /// Where its admin listener is.
    pub(crate) admin: SocketAddr,
}

/// Why there is no gateway.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotStarted {
    /// It refused to start; with what it said.
    #[error("the gateway does not start: {0}")]
    Refused(String),
    /// The system is in the way.
    #[error("cannot start a gateway: {0}")]
    System(#[from] io::Error),
}

impl Gateway {
    /// Starts this program as a gateway with a configuration file; what it writes beside that lies in `folder`.
    pub(crate) fn start(config: &Path, folder: &Path, log: &str) -> Result<Self, NotStarted> {
        let announce = folder.join("announce.json");
        let _ = fs::remove_file(&announce);
        let mut child = Command::new(std::env::current_exe()?)
            .arg("run")
            .arg("--config")
            .arg(config)
            .arg("--announce")
            .arg(&announce)
            .args(["--log-format", "json", "--log", log, "--trace-values"])
            .stdin(Stdio::null())
            .stdout(Stdio::inherit())
            .stderr(Stdio::piped())
            .spawn()?;
        let (send, lines) = channel();
        if let Some(stderr) = child.stderr.take() {
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    if send.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        let (public, admin) = match announced(&mut child, &announce, &lines) {
            Ok(addresses) => addresses,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        Ok(Self {
            child,
            lines,
            public,
            admin,
        })
    }

    /// The next line of its log within this time; none if there is none, an error once it has ended.
    pub(crate) fn line(&self, within: Duration) -> Result<Option<Value>, Ended> {
        match self.lines.recv_timeout(within) {
            Ok(line) => Ok(Some(parsed(&line))),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Ended),
        }
    }
}

/// The gateway has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended;

/// A line of the log; what is no JSON is a message.
fn parsed(line: &str) -> Value {
    match serde_json::from_str(line) {
        Ok(Value::Object(entry)) => Value::Object(entry),
        _ => serde_json::json!({ "message": line }),
    }
}

fn announced(
    child: &mut Child,
    announce: &Path,
    lines: &Receiver<String>,
) -> Result<(SocketAddr, SocketAddr), NotStarted> {
    let deadline = Instant::now() + START;
    loop {
        if let Ok(text) = fs::read_to_string(announce) {
            let document: Value = serde_json::from_str(&text).unwrap_or_default();
            let address = |pointer: &str| document.pointer(pointer)?.as_str()?.parse().ok();
            let found = address("/listeners/0/address").zip(address("/admin"));
            return found.ok_or(NotStarted::Refused(text));
        }
        if child.try_wait()?.is_some() || Instant::now() > deadline {
            // What it said last is on its way through the pipe.
            let said: Vec<String> = std::iter::from_fn(|| lines.recv_timeout(END).ok())
                .map(|line| match parsed(&line).get("message") {
                    Some(Value::String(text)) => text.clone(),
                    _ => String::new(),
                })
                .collect();
            return Err(NotStarted::Refused(said.join("; ")));
        }
        thread::sleep(PAUSE);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let deadline = Instant::now() + END;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(PAUSE);
        }
    }
}
