//! The gateway under test: the real binary as a child process, with a folder of its own, on free ports.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

pub use crate::builder::Builder;
use crate::builder::{announced, spawn};
use crate::client::{Client, Response};
use crate::eventually::{wait_for, wait_until};
use crate::plugin_dir::PluginDir;
use crate::process::{children, with_argument};

/// What every configuration begins with unless a test says otherwise.
const PREAMBLE: &str = "\
format: 1
listeners: [{name: public, address: \"127.0.0.1:0\"}]
admin: {address: \"127.0.0.1:0\"}
plugins_dir: plugins.d
state_dir: state
";

/// A whole configuration. Unless it says otherwise no version is on probation, which would keep the one before in memory for
/// a minute after each swap. A text that is cut off stays so.
pub(crate) fn whole(text: &str) -> String {
    let says = text.lines().any(|line| line.starts_with("faults:"));
    let probation = if says || !text.ends_with('\n') {
        ""
    } else {
        "faults: {return_after: 0}\n"
    };
    format!("{PREAMBLE}{text}{probation}")
}

/// A running gateway. Dropping it kills the process; a test that fails sees its log.
pub struct Gateway {
    pub(crate) child: Child,
    pub(crate) folder: TempDir,
    pub(crate) plugins: PluginDir,
    pub(crate) places: Vec<(String, String)>,
    pub(crate) listeners: Vec<(String, SocketAddr)>,
    pub(crate) admin: SocketAddr,
    pub(crate) arguments: Vec<String>,
    pub(crate) announce: PathBuf,
    pub(crate) exe: PathBuf,
}

/// How a start ended that was refused.
#[derive(Debug)]
pub struct Refusal {
    /// The exit code; none: a signal.
    pub code: Option<i32>,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Gateway {
    /// Prepares a gateway with this configuration, before which the usual beginning (one listener, admin, folders) is put.
    #[must_use]
    pub fn with(text: &str) -> Builder {
        Self::with_whole(&whole(text))
    }

    /// Prepares a gateway with exactly this configuration.
    #[must_use]
    pub fn with_whole(text: &str) -> Builder {
        Builder::new(text)
    }

    /// Where its first listener is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listeners[0].1
    }

    /// Where the listener of this name is.
    ///
    /// # Panics
    /// When none was announced.
    #[must_use]
    #[track_caller]
    pub fn address_of(&self, name: &str) -> SocketAddr {
        let listener = self.listeners.iter().find(|(known, _)| known == name);
        let (_, address) = listener.expect("a listener of that name was announced");
        *address
    }

    /// Where its admin listener is.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// A connection to its first listener.
    #[must_use]
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(self.address())
    }

    /// One GET for the host `test` on a connection of its own.
    #[must_use]
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.client().get(path)
    }

    /// Waits until a path is answered so on every worker: each takes a change over by itself and the system chooses one
    /// for each connection, so that a single answer says nothing of the next.
    ///
    /// # Panics
    /// When it is not in time; `what` is in the text.
    #[track_caller]
    pub fn wait_for_answers(&self, what: &str, path: &str, looks_so: impl Fn(&Response) -> bool) {
        /// So many connections in a row miss one of two workers once in thirty thousand times.
        const CONNECTIONS: u32 = 16;
        wait_until(&format!("{what} on every worker"), || {
            (0..CONNECTIONS).all(|_| looks_so(&self.get(path)))
        });
    }

    /// One GET at the admin listener.
    #[must_use]
    #[track_caller]
    pub fn admin(&self, path: &str) -> Response {
        Client::connect(self.admin).get(path)
    }

    /// What `/status` says.
    #[must_use]
    #[track_caller]
    pub fn status(&self) -> Value {
        self.admin("/status").json()
    }

    /// What `/plugins` says.
    #[must_use]
    #[track_caller]
    pub fn plugins_view(&self) -> Value {
        self.admin("/plugins").json()
    }

    /// The generation that serves now.
    ///
    /// # Panics
    /// When `/status` does not tell.
    #[must_use]
    #[track_caller]
    pub fn generation(&self) -> u64 {
        let status = self.status();
        let generation = status["generation"].as_u64();
        generation.unwrap_or_else(|| panic!("no generation in {status}"))
    }

    /// Waits until `/status` looks as wanted, and returns it.
    ///
    /// # Panics
    /// When it does not in time; `what` is in the text.
    #[track_caller]
    pub fn wait_for_status(&self, what: &str, looks_so: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, || Some(self.status()).filter(&looks_so))
    }

    /// Waits until a generation after this one serves.
    ///
    /// # Panics
    /// When none does in time.
    #[track_caller]
    pub fn wait_for_generation_after(&self, generation: u64) -> u64 {
        wait_for(&format!("a generation after {generation}"), || {
            Some(self.generation()).filter(|now| *now > generation)
        })
    }

    /// The configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("swapgate.yaml")
    }

    /// The folder the gateway runs in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The plugins folder.
    #[must_use]
    pub fn plugins(&self) -> &PluginDir {
        &self.plugins
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process is gone.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the gateway runs");
    }

    /// Waits until the process has ended.
    ///
    /// # Panics
    /// When it has not in time.
    #[track_caller]
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let child = &mut self.child;
        wait_for("the gateway to end", || {
            child.try_wait().expect("the child is ours")
        })
    }

    /// Asks it to drain and end, and waits for that.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait_for_end()
    }

    /// Waits until this text stands in the log.
    ///
    /// # Panics
    /// When it does not in time.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) {
        wait_until(&format!("`{text}` in the log"), || {
            self.log().contains(text)
        });
    }

    /// Starts it again, once it has ended, with everything that lies in its folder. The log begins anew.
    ///
    /// # Panics
    /// When it does not serve.
    #[track_caller]
    pub fn start_again(&mut self) {
        fs::remove_file(&self.announce).expect("it was announced");
        let folder = self.folder.path();
        self.child = spawn(&self.exe, folder, &self.announce, &self.arguments, &[]);
        let log = self.folder.path().join("log");
        let ready = announced(&mut self.child, &self.announce, &log);
        (self.listeners, self.admin) = ready;
    }

    /// What it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        read(&self.folder.path().join("log"))
    }

    /// The messages of its log.
    #[must_use]
    pub fn log_messages(&self) -> Vec<String> {
        messages(&self.log())
    }

    /// The number of the process that serves now, which is another one after an upgrade.
    ///
    /// # Panics
    /// When `/status` does not tell.
    #[must_use]
    #[track_caller]
    pub fn serving(&self) -> u32 {
        let status = self.status();
        let number = status["pid"].as_u64().and_then(|id| u32::try_from(id).ok());
        number.unwrap_or_else(|| panic!("no pid in {status}"))
    }

    /// The process id.
    ///
    /// # Panics
    /// Never: a child has one.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // A supervised gateway has a child, which may hang in a plugin. Only while the parent is there, and not waited for,
        // do its children tell that they are.
        let children = children(self.pid());
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        for child in children {
            let child = i32::try_from(child).ok().and_then(Pid::from_raw);
            // It may be gone.
            let _ = child.map(|child| kill_process(child, Signal::KILL));
        }
        let _ = self.child.wait();
        // After an upgrade another process serves, which is nobody's child here.
        for other in with_argument(self.folder.path()) {
            let other = i32::try_from(other).ok().and_then(Pid::from_raw);
            let _ = other.map(|other| kill_process(other, Signal::KILL));
        }
        if std::thread::panicking() {
            let log = self.log();
            eprintln!("---- log of the gateway ----\n{}", ends(&log));
        }
    }
}

/// The first and the last lines of a log: between them a busy gateway may say thousands of times the same.
fn ends(log: &str) -> String {
    const KEPT: usize = 40;
    let lines: Vec<&str> = log.lines().collect();
    match lines.len().checked_sub(2 * KEPT) {
        None | Some(0) => log.to_owned(),
        Some(left_out) => {
            let (first, last) = (&lines[..KEPT], &lines[lines.len() - KEPT..]);
            format!(
                "{}\n... {left_out} lines more ...\n{}",
                first.join("\n"),
                last.join("\n")
            )
        }
    }
}

pub(crate) fn fill(text: &str, places: &[(String, String)]) -> String {
    places.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(name, value)
    })
}

/// The messages in a log of JSON lines; what is none counts as a message itself.
pub(crate) fn messages(log: &str) -> Vec<String> {
    let message = |line: &str| match serde_json::from_str::<Value>(line) {
        Ok(entry) => entry["message"].as_str().unwrap_or_default().to_owned(),
        Err(_) => line.to_owned(),
    };
    log.lines().map(message).collect()
}

pub(crate) fn read(path: &Path) -> String {
    fs::read(path).map_or_else(
        |error| format!("({error})"),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    )
}
