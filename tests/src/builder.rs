//! Preparing and starting a gateway.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::artifacts;
use crate::eventually::wait_for;
use crate::gateway::{Gateway, Refusal, fill, read};
use crate::launch::Launch;
use crate::plugin_dir::PluginDir;

/// A folder in which a gateway can be started: configuration, plugins, state.
pub struct Builder {
    pub(crate) folder: TempDir,
    pub(crate) plugins: PluginDir,
    text: String,
    places: Vec<(String, String)>,
    arguments: Vec<String>,
    announce: String,
    exe: PathBuf,
    environment: Vec<(String, String)>,
    launcher: Vec<String>,
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

impl Builder {
    pub(crate) fn new(text: &str) -> Self {
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
            announce: "announce.json".to_owned(),
            exe: artifacts::gateway().to_owned(),
            environment: Vec::new(),
            launcher: Vec::new(),
        }
    }

    /// Has a program start the gateway: these words stand before its own on the command line. It must become the gateway.
    #[must_use]
    pub fn started_by(mut self, words: &[&str]) -> Self {
        self.launcher = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Lets other users of this machine look into the folder.
    ///
    /// # Panics
    /// When the folder is not the test's own.
    #[must_use]
    pub fn open_to_others(self) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.folder.path(), mode).expect("the folder is ours");
        self
    }

    /// The folder in which everything lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

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

    /// Starts the gateway under a name in its own folder, where a test can put another executable: `swapgate`.
    ///
    /// # Panics
    /// When the folder admits no link.
    #[must_use]
    pub fn own_executable(mut self) -> Self {
        self.exe = self.path("swapgate");
        symlink(artifacts::gateway(), &self.exe).expect("the folder is ours");
        self
    }

    /// Writes the announcement elsewhere in the folder.
    #[must_use]
    pub fn announce_to(mut self, name: &str) -> Self {
        name.clone_into(&mut self.announce);
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
        let child = self.spawn();
        self.wait_until_it_serves(child)
    }

    /// Starts the gateway and waits for nothing.
    #[must_use]
    pub fn launch(self) -> Launch {
        Launch::new(self)
    }

    #[track_caller]
    pub(crate) fn wait_until_it_serves(self, mut child: Child) -> Gateway {
        let announce = self.path(&self.announce);
        let (listeners, admin) = announced(&mut child, &announce, &self.path("log"));
        Gateway {
            child,
            listeners,
            admin,
            arguments: self.arguments,
            exe: self.exe,
            announce,
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
        let announce = self.path(&self.announce);
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

    pub(crate) fn spawn(&self) -> Child {
        let config = self.path("swapgate.yaml");
        fs::write(&config, fill(&self.text, &self.places)).expect("the folder is ours");
        let environment: Vec<(&str, &str)> = self
            .environment
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let announce = self.path(&self.announce);
        let (by, folder) = (&self.launcher, self.folder.path());
        spawn_by(
            by,
            &self.exe,
            folder,
            &announce,
            &self.arguments,
            &environment,
        )
    }

    pub(crate) fn has_announced(&self) -> bool {
        self.path(&self.announce).exists()
    }

    /// A place in its folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Starts the gateway on what lies in a folder.
pub(crate) fn spawn(
    exe: &Path,
    folder: &Path,
    announce: &Path,
    arguments: &[String],
    environment: &[(&str, &str)],
) -> Child {
    spawn_by(&[], exe, folder, announce, arguments, environment)
}

fn spawn_by(
    launcher: &[String],
    exe: &Path,
    folder: &Path,
    announce: &Path,
    arguments: &[String],
    environment: &[(&str, &str)],
) -> Child {
    let log = File::create(folder.join("log")).expect("the folder is ours");
    let words = launcher.iter().map(AsRef::as_ref).chain([exe.as_os_str()]);
    let words: Vec<&std::ffi::OsStr> = words.collect();
    Command::new(words[0])
        .args(&words[1..])
        .arg("run")
        .args([
            "--config".as_ref(),
            folder.join("swapgate.yaml").as_os_str(),
        ])
        .args(["--announce".as_ref(), announce.as_os_str()])
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file handle"))
        .stderr(log)
        .spawn()
        .expect("the gateway's binary runs")
}

/// Waits until it serves; where its listeners are, and its admin listener.
#[track_caller]
pub(crate) fn announced(
    child: &mut Child,
    announce: &Path,
    log: &Path,
) -> (Vec<(String, SocketAddr)>, SocketAddr) {
    let ready = wait_for("the gateway to announce itself", || {
        if let Some(status) = child.try_wait().expect("the child is ours") {
            panic!("the gateway ended with {status}:\n{}", read(log));
        }
        fs::read_to_string(announce).ok()
    });
    let ready: Value = serde_json::from_str(&ready).expect("the announcement is JSON");
    let address = |value: &Value| -> SocketAddr {
        let text = value.as_str().expect("addresses are texts");
        text.parse().expect("addresses are addresses")
    };
    let listeners = ready["listeners"].as_array().expect("a list of listeners");
    // Those in the file system are where the test put them.
    let in_network = |listener: &&Value| {
        let address = listener["address"].as_str();
        address.is_some_and(|address| !address.starts_with("unix:"))
    };
    let listeners = listeners.iter().filter(in_network).map(|listener| {
        let name = listener["name"].as_str().expect("a name").to_owned();
        (name, address(&listener["address"]))
    });
    (listeners.collect(), address(&ready["admin"]))
}
