//! Where everything runs: the cores, the upstream, and the contestants with their folders and addresses.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::cargo;
use crate::failure::{Context, Failure, Outcome};
use crate::folder::Folder;
use crate::http;
use crate::load::{Load, pinned};
use crate::process::{Program, wait_for};

use super::contestants::{Contestant, Setting};
use super::scenarios::Over;
use super::template::Values;
use super::tools::Tools;

/// How long a contestant may take until it answers.
const READY: Duration = Duration::from_secs(60);

/// The cores, the certificate and the upstream.
pub(crate) struct Bed<'a> {
    pub(crate) tools: &'a Tools,
    pub(crate) pins: Pins,
    pub(crate) upstream: String,
    /// Where the certificate is that all contestants show, and its key.
    tls: Folder,
    _upstream: Program,
}

/// A contestant that answers.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) contestant: &'static Contestant,
    pub(crate) routes: usize,
    pub(crate) program: Program,
    pub(crate) address: String,
    /// The address with TLS, where the contestant has one.
    pub(crate) secure: String,
    pub(crate) admin: String,
    pub(crate) folder: Folder,
    /// What it used when it had just started, in kilobytes.
    pub(crate) memory_at_start: u64,
}

impl Running {
    /// What it is called in tables.
    pub(crate) fn name(&self) -> String {
        match self.routes {
            1 => self.contestant.name.to_owned(),
            many => format!("{}, {many} routes", self.contestant.name),
        }
    }

    /// A figure of `/proc/PID/status` in kilobytes.
    pub(crate) fn memory(&self, key: &str) -> Outcome<u64> {
        let path = format!("/proc/{}/status", self.program.pid());
        let text = fs::read_to_string(&path).context(format_args!("{path} cannot be read"))?;
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|rest| rest.split_whitespace().nth(0)?.parse().ok())
            .ok_or_else(|| Failure::new(format!("{path} has no {key}")))
    }
}

impl<'a> Bed<'a> {
    pub(crate) fn make(tools: &'a Tools) -> Outcome<Self> {
        let pins = Pins::of_machine();
        let tls = certificate(tools)?;
        let folder = Folder::create("bench/run/upstream")?;
        let file = folder.file("announced.json");
        let mut command = pinned(pins.load, &tools.built.join("bench-upstream"));
        let mut program = Program::start("the upstream", command.arg("--announce").arg(&file))?;
        let upstream = program.announced(&file)?.public;
        Ok(Self {
            tools,
            pins,
            upstream,
            tls,
            _upstream: program,
        })
    }

    /// Starts a contestant and waits until it answers.
    pub(crate) fn start(
        &self,
        contestant: &'static Contestant,
        setting: Setting,
    ) -> Outcome<Running> {
        let name = contestant.name;
        let folder = Folder::create(&format!("bench/run/{name}-{}", setting.routes))?;
        let (address, secure, admin) = (free_address()?, free_address()?, free_address()?);
        let values = self.values(&folder, setting, [&address, &secure, &admin]);
        for file in contestant.files {
            folder.write(file, values.fill(&template(file)?)?)?;
        }
        for plugin in contestant.plugins {
            folder.install(&self.tools.built, plugin)?;
        }
        let mut program = self.program(contestant, &values, &folder)?;
        wait_until_it_answers(&mut program, name, &address, &folder)?;
        let mut running = Running {
            contestant,
            routes: setting.routes,
            program,
            address,
            secure,
            admin,
            folder,
            memory_at_start: 0,
        };
        running.memory_at_start = running.memory("VmRSS:")?;
        Ok(running)
    }

    fn program(
        &self,
        contestant: &Contestant,
        values: &Values,
        folder: &Folder,
    ) -> Outcome<Program> {
        let path = self
            .tools
            .path(contestant.tool)
            .ok_or_else(|| Failure::new(format!("{} has no program to start", contestant.name)))?;
        let log = folder.file("log");
        let log = File::create(&log).context(format_args!("{} cannot be made", log.display()))?;
        let mut command = pinned(self.pins.proxy, &path);
        command
            .args(contestant.words.iter().map(|word| values.word(word)))
            .stdout(Stdio::null())
            .stderr(log);
        Program::start(contestant.name, &mut command)
    }

    fn values(
        &self,
        folder: &Folder,
        setting: Setting,
        [address, secure, admin]: [&str; 3],
    ) -> Values {
        let port = |address: &str| {
            let (_, port) = address.rsplit_once(':').unwrap_or_default();
            port.to_owned()
        };
        let text = |path: &Path| path.display().to_string();
        Values {
            places: vec![
                ("LISTEN", address.to_owned()),
                ("PORT", port(address)),
                ("SECURE", secure.to_owned()),
                ("SECURE_PORT", port(secure)),
                ("TLS", text(&self.tls.file(""))),
                ("ADMIN", admin.to_owned()),
                ("UPSTREAM", self.upstream.clone()),
                ("UPSTREAM_PORT", port(&self.upstream)),
                ("FOLDER", text(&folder.file(""))),
                ("JOBS", text(&self.tools.jobs())),
                ("LIMIT", setting.limit.to_string()),
                ("WINDOW", setting.window_s.to_string()),
            ],
            routes: setting.routes,
        }
    }

    /// Starts a load on a contestant.
    pub(crate) fn load(&self, on: &Running, over: Over, words: &[String]) -> Outcome<Load> {
        let certificate = self.tls.file("certificate.pem").display().to_string();
        let tls = [String::from("--tls"), certificate];
        let (target, more) = match over {
            Over::Http | Over::WebSocket => (&on.address, &[][..]),
            Over::Tls => (&on.secure, &tls[..]),
        };
        let words = [words, more].concat();
        Load::start(self.pins.load, &self.tools.built, target, &words)
    }
}

/// Makes the certificate of this run.
fn certificate(tools: &Tools) -> Outcome<Folder> {
    let folder = Folder::create("bench/run/tls")?;
    let mut command = Command::new(tools.built.join("bench-certificate"));
    command.arg("--folder").arg(folder.file(""));
    cargo::call("making a certificate", &mut command)?;
    Ok(folder)
}

/// A file of `tests/bench/field`.
fn template(name: &str) -> Outcome<String> {
    let path = cargo::root().join("tests/bench/field").join(name);
    fs::read_to_string(&path).context(format_args!("{} cannot be read", path.display()))
}

/// Words put before programs to keep them on a core.
pub(crate) struct Pins {
    pub(crate) proxy: &'static [&'static str],
    pub(crate) load: &'static [&'static str],
}

impl Pins {
    fn of_machine() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let quiet =
            |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let taskset = quiet(Command::new("taskset").args(["-c", "1", "true"]))
            .is_ok_and(|status| status.success());
        if cores < 2 || !taskset {
            return Self {
                proxy: &[],
                load: &[],
            };
        }
        Self {
            proxy: &["taskset", "-c", "0"],
            load: &["taskset", "-c", "1"],
        }
    }

    pub(crate) fn words(&self) -> &'static str {
        if self.proxy.is_empty() {
            "no pinning to cores (one core only, or no taskset)"
        } else {
            "contestants on core 0, load generator and upstream on core 1"
        }
    }
}

/// An address nobody uses now; whoever is told of it binds it in a moment.
fn free_address() -> Outcome<String> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.to_string())
        .context("no port is free")
}

fn wait_until_it_answers(
    program: &mut Program,
    name: &str,
    address: &str,
    folder: &Folder,
) -> Outcome<()> {
    let log = folder.file("log");
    let started = Instant::now();
    let answered = wait_for(&format!("{name} to answer"), READY, || {
        if let Some(status) = program.ended()? {
            return Err(Failure::new(format!("{name} ended at once ({status})")));
        }
        Ok(http::get(address, "/", &[]).ok().map(drop))
    });
    answered.map_err(|failure| {
        let waited = started.elapsed().as_secs();
        let log = log.display();
        Failure::new(format!("{failure}; what it said in {waited} s is in {log}"))
    })
}
