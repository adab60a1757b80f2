//! What the cases share: an upstream that tells which stamp it saw, a gateway before it, and load that checks both.

use std::fs;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use swapgate_tests::gateway::Builder;
use swapgate_tests::{Gateway, Load, Patched, Response, Upstream, artifacts, wait_for, wait_until};

/// Clients of a load.
const CLIENTS: usize = 3;

/// A gateway before an upstream.
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Upstream,
}

/// Prepares a gateway with one route for everything. `plugins` are the uses of that route, `settings` stand at the top
/// level.
pub(crate) fn prepared(settings: &str, plugins: &str) -> (Builder, Upstream) {
    let upstream = stamp_upstream();
    let builder = Gateway::with(&config(settings, plugins)).set("up", upstream.address());
    (builder, upstream)
}

/// The configuration of [`prepared`], for reloads.
pub(crate) fn config(settings: &str, plugins: &str) -> String {
    format!(
        "\
workers: 2
{settings}
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: all, service: up, plugins: [{plugins}]}}]
"
    )
}

/// A gateway that serves through the stamp plugin, which stamps `text`.
pub(crate) fn stamped(text: &str) -> World {
    let (builder, upstream) = prepared("", "{name: stamp}");
    let builder = builder.plugin_bytes("libstamp.so", stamp(text).bytes());
    World::start(builder, upstream)
}

impl World {
    /// Starts what was prepared.
    pub(crate) fn start(builder: Builder, upstream: Upstream) -> Self {
        let gateway = builder.start();
        Self { gateway, upstream }
    }

    /// Load in which every answer must have been served by exactly one version.
    pub(crate) fn load(&self) -> Load {
        let request = "GET /load HTTP/1.1\r\nHost: test\r\n\r\n";
        Load::start(self.gateway.address(), CLIENTS, request, |answer| {
            one_version(answer).map(drop)
        })
    }

    /// The stamp of one request, the same on both sides.
    #[track_caller]
    pub(crate) fn stamp(&self) -> String {
        let answer = self.gateway.get("/");
        one_version(&answer).unwrap_or_else(|why| panic!("{why}; {answer:?}"))
    }

    /// Waits until requests carry this stamp, and sees that it stays so.
    #[track_caller]
    pub(crate) fn wait_for_stamp(&self, expected: &str) {
        let what = format!("the stamp {expected}");
        self.gateway.wait_for_answers(&what, "/", |answer| {
            one_version(answer).is_ok_and(|stamp| stamp == expected)
        });
        for _ in 0..5 {
            assert_eq!(self.stamp(), expected, "an older version came back");
        }
    }

    /// The images `/plugins` shows of a plugin.
    pub(crate) fn images(&self, id: &str) -> Vec<Value> {
        let view = self.gateway.plugins_view();
        let images = view["images"].as_array().expect("a list of images");
        images
            .iter()
            .filter(|image| image["id"] == id)
            .cloned()
            .collect()
    }

    /// Waits until an image of a plugin looks as wanted, and returns it.
    #[track_caller]
    pub(crate) fn wait_for_image(
        &self,
        id: &str,
        what: &str,
        so: impl Fn(&Value) -> bool,
    ) -> Value {
        wait_for(what, || self.images(id).into_iter().find(&so))
    }

    /// The files of plugins that are mapped now.
    pub(crate) fn mapped(&self) -> Vec<String> {
        let below = self.gateway.folder().join("state/images");
        let below = below.to_str().expect("the folder has a plain name");
        let mapped = swapgate_tests::process::mapped_files(self.gateway.pid(), below);
        mapped.into_iter().collect()
    }

    /// The path of a file in the plugins folder, as messages show it.
    pub(crate) fn shown(&self, name: &str) -> String {
        self.gateway.plugins().file(name).display().to_string()
    }
}

/// Answers with the stamp it saw.
fn stamp_upstream() -> Upstream {
    Upstream::answering(|request| {
        let seen = request.headers.get("x-stamp-request").unwrap_or_default();
        format!("HTTP/1.1 200 OK\r\nx-seen: {seen}\r\ncontent-length: 3\r\n\r\nup\n").into_bytes()
    })
}

/// The stamp of an answer, if request and answer carry the same one.
pub(crate) fn one_version(answer: &Response) -> Result<String, String> {
    let stamp = answer.header("x-stamp-response").unwrap_or_default();
    let seen = answer.header("x-seen").unwrap_or_default();
    match (answer.status, stamp == seen) {
        (200, true) => Ok(stamp),
        (200, false) => Err(format!("the upstream saw {seen:?}, the client {stamp:?}")),
        (status, _) => Err(format!("status {status}")),
    }
}

/// The stamp plugin with a text.
pub(crate) fn stamp(text: &str) -> Patched {
    static PLAIN: OnceLock<Patched> = OnceLock::new();
    PLAIN.get_or_init(|| stripped("stamp")).clone().stamp(text)
}

/// The faulty plugin.
pub(crate) fn faulty() -> Patched {
    static PLAIN: OnceLock<Patched> = OnceLock::new();
    PLAIN.get_or_init(|| stripped("faulty")).clone()
}

/// A plugin of this repository without debug information, which would only make copying and hashing slow.
pub(crate) fn stripped(library: &str) -> Patched {
    let folder = tempfile::tempdir().expect("the system has a temporary folder");
    let file = folder.path().join("stripped.so");
    let status = Command::new("strip")
        .args(["--strip-debug", "-o"])
        .args([&file, &artifacts::plugin(library)])
        .status()
        .expect("strip is installed, as every C compiler brings it");
    assert!(status.success(), "strip refused {library}");
    Patched::read(&file)
}

/// Compiles C source text as a plugin and returns its bytes.
pub(crate) fn c_plugin(source: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("the system has a temporary folder");
    let (text, file) = (
        folder.path().join("plugin.c"),
        folder.path().join("plugin.so"),
    );
    fs::write(&text, source).expect("the folder is ours");
    artifacts::c_plugin(&text, &file, &["-Wl,--as-needed"]);
    fs::read(file).expect("the compiler wrote it")
}

/// The text of one of the C examples.
pub(crate) fn c_example(name: &str) -> String {
    let file: PathBuf = artifacts::root().join("sdk-c/examples").join(name);
    fs::read_to_string(file).expect("the examples are there")
}

/// Replaces a piece of source text that must be there.
#[track_caller]
pub(crate) fn replaced(source: &str, from: &str, to: &str) -> String {
    assert!(source.contains(from), "the example changed: no `{from}`");
    source.replace(from, to)
}

/// Waits for a line of the log that says this. The log is JSON, so quotes look different in its bytes.
#[track_caller]
pub(crate) fn wait_for_log(gateway: &Gateway, text: &str) {
    wait_until(&format!("`{text}` in the log"), || {
        let log = gateway.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let mut messages =
            lines.filter_map(|line: Value| Some(line["message"].as_str()?.to_owned()));
        messages.any(|message| message.contains(text))
    });
}

/// What `swapgate plugin check` says of a file: exit code, and its standard error.
pub(crate) fn plugin_check(file: &Path, options: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(artifacts::gateway())
        .args(["plugin", "check"])
        .args(options)
        .arg(file)
        .output()
        .expect("the gateway's binary runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

/// Overwrites a file in place, over and over, until it is dropped.
pub(crate) struct Restless {
    stop: Option<Sender<()>>,
    writer: Option<JoinHandle<()>>,
}

impl Restless {
    /// Starts with a whole file.
    pub(crate) fn start(file: PathBuf, versions: [Vec<u8>; 2]) -> Self {
        /// Shorter than the quiet time by far, and no burden for a machine with few cores.
        const PACE: Duration = Duration::from_millis(10);
        let (stop, stopped) = channel();
        let mut open = fs::File::options();
        let open = open.write(true).create(true).truncate(false).mode(0o755);
        let open = open.open(file).expect("the folder is ours");
        let writer = thread::spawn(move || {
            for bytes in versions.iter().cycle() {
                open.write_all_at(bytes, 0).expect("the disk has room");
                if stopped.recv_timeout(PACE) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        Self {
            stop: Some(stop),
            writer: Some(writer),
        }
    }
}

impl Drop for Restless {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(writer) = self.writer.take() {
            // A writer that failed has told why.
            let _ = writer.join();
        }
    }
}
