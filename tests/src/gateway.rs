//! The gateway under test: the real binary as a child process, with a folder of its own, on free ports.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::artifacts;
use crate::client::{Client, Response};
use crate::eventually::{wait_for, wait_until};
use crate::plugin_dir::PluginDir;

/// What every configuration begins with unless a test says otherwise.
const PREAMBLE: &str = "\
format: 1
listeners: [{name: public, address: \"127.0.0.1:0\"}]
admin: {address: \"127.0.0.1:0\"}
plugins_dir: plugins.d
state_dir: state
";

/// A folder in which a gateway can be started: configuration, plugins, state.
pub struct Builder {
    folder: TempDir,
    plugins: PluginDir,
    text: String,
    places: Vec<(String, String)>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// What stands in a place of a configuration.
pub struct Place(String);

impl From<SocketAddr> for Place {
    fn from(address: SocketAddr) -> Self {
        Self(address.to_string())
    }
}

impl From<&str> for Place {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// A running gateway. Dropping it kills the process; a test that fails sees its log.
pub struct Gateway {
    child: Child,
    folder: TempDir,
    plugins: PluginDir,
    places: Vec<(String, String)>,
    listeners: Vec<(String, SocketAddr)>,
    admin: SocketAddr,
}

/// How a start ended that was refused.
#[derive(Debug)]
pub struct Refusal {
    /// The exit code; none: a signal.
    pub code: Option<i32>,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Builder {
    /// Replaces `@name@` in the configuration by a value, such as the address of an upstream.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<Place>) -> Self {
        let Place(value) = value.into();
        self.places.push((format!("@{name}@"), value));
        self
    }

    /// Copies one of this repository's plugins into the plugins folder.
    ///
    /// # Panics
    /// When it was not built.
    #[must_use]
    #[track_caller]
    pub fn plugin(self, library: &str) -> Self {
        let bytes = fs::read(artifacts::plugin(library)).expect("the file was built");
        self.plugin_bytes(&format!("lib{library}.so"), &bytes)
    }

    /// Puts a file into the plugins folder.
    #[must_use]
    pub fn plugin_bytes(self, name: &str, bytes: &[u8]) -> Self {
        self.plugins.copy(bytes, name);
        self
    }

    /// Adds an argument of the command line.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Sets an environment variable of the process.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The plugins folder, for tests that prepare it in ways of their own.
    #[must_use]
    pub fn plugins(&self) -> &PluginDir {
        &self.plugins
    }

    /// Starts the gateway and waits until it serves.
    ///
    /// # Panics
    /// When it ends instead; the text holds its log.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Gateway {
        let mut child = self.spawn();
        let (announce, log) = (self.path("announce.json"), self.path("log"));
        let ready = wait_for("the gateway to announce itself", || {
            if let Some(status) = child.try_wait().expect("the child is ours") {
                panic!("the gateway ended with {status}:\n{}", read(&log));
            }
            fs::read_to_string(&announce).ok()
        });
        let ready: Value = serde_json::from_str(&ready).expect("the announcement is JSON");
        let address = |value: &Value| -> SocketAddr {
            let text = value.as_str().expect("addresses are texts");
            text.parse().expect("addresses are addresses")
        };
        let listeners = ready["listeners"].as_array().expect("a list of listeners");
        let listeners = listeners
            .iter()
            .map(|listener| {
                let name = listener["name"].as_str().expect("a name").to_owned();
                (name, address(&listener["address"]))
            })
            .collect();
        Gateway {
            child,
            listeners,
            admin: address(&ready["admin"]),
            folder: self.folder,
            plugins: self.plugins,
            places: self.places,
        }
    }

    /// Starts the gateway and waits until it has ended by itself.
    ///
    /// # Panics
    /// When it serves instead.
    #[must_use]
    #[track_caller]
    pub fn start_refused(self) -> Refusal {
        let mut child = self.spawn();
        let announce = self.path("announce.json");
        let status = wait_for("the gateway to end by itself", || {
            if announce.exists() {
                let _ = child.kill();
                panic!("the gateway serves:\n{}", read(&self.path("log")));
            }
            child.try_wait().expect("the child is ours")
        });
        Refusal {
            code: status.code(),
            stderr: read(&self.path("log")),
        }
    }

    fn spawn(&self) -> Child {
        let config = self.path("swapgate.yaml");
        fs::write(&config, fill(&self.text, &self.places)).expect("the folder is ours");
        let log = File::create(self.path("log")).expect("the folder is ours");
        Command::new(artifacts::gateway())
            .arg("run")
            .args(["--config".as_ref(), config.as_os_str()])
            .args([
                "--announce".as_ref(),
                self.path("announce.json").as_os_str(),
            ])
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle"))
            .stderr(log)
            .spawn()
            .expect("the gateway's binary runs")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Gateway {
    /// Prepares a gateway with this configuration, before which the usual beginning (one listener, admin, folders) is put.
    #[must_use]
    pub fn with(text: &str) -> Builder {
        Self::with_whole(&format!("{PREAMBLE}{text}"))
    }

    /// Prepares a gateway with exactly this configuration.
    ///
    /// # Panics
    /// When the system gives no temporary folder.
    #[must_use]
    pub fn with_whole(text: &str) -> Builder {
        let folder = tempfile::Builder::new()
            .prefix("swapgate-test-")
            .tempdir()
            .expect("the system has a temporary folder");
        let plugins = PluginDir::create(folder.path());
        Builder {
            folder,
            plugins,
            text: text.to_owned(),
            places: Vec::new(),
            arguments: vec!["--log-format".to_owned(), "json".to_owned()],
            environment: Vec::new(),
        }
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

    /// Writes a new configuration in place, with the same beginning and the same places filled.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_config(&self, text: &str) {
        self.write_whole_config(&format!("{PREAMBLE}{text}"));
    }

    /// Writes exactly this configuration in place, with the same places filled.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_whole_config(&self, text: &str) {
        fs::write(self.config_file(), fill(text, &self.places)).expect("the folder is ours");
    }

    /// Writes a new configuration aside and renames it over the old one, as editors do.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn rename_config(&self, text: &str) {
        let aside = self.folder.path().join("swapgate.yaml.new");
        let text = fill(&format!("{PREAMBLE}{text}"), &self.places);
        fs::write(&aside, text).expect("the folder is ours");
        fs::rename(aside, self.config_file()).expect("one file system");
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

    /// What it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        read(&self.folder.path().join("log"))
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
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- log of the gateway ----\n{}", self.log());
        }
    }
}

fn fill(text: &str, places: &[(String, String)]) -> String {
    places.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(name, value)
    })
}

fn read(path: &Path) -> String {
    fs::read(path).map_or_else(
        |error| format!("({error})"),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    )
}
