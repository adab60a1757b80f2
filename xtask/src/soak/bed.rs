//! The programs of a soak, and the gateway among them.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::account::Usage;
use crate::failure::{Context, Failure, Outcome};
use crate::folder::Folder;
use crate::http::{Answer, get, get_json};
use crate::process::{Announced, Program, wait_for};
use crate::swap::Version;

use super::options::Options;
use super::shown::is_at_rest;
use super::texts::Places;
use super::{DRAIN, start_gateway_logging};

/// How long one change may take until the gateway shows it.
pub(super) const CHANGE: Duration = Duration::from_secs(60);
/// Between two looks at the gateway, which must not become a load themselves.
const LOOK: Duration = Duration::from_millis(20);
/// Between two looks at memory; so many that are alike say that it does not move any more.
const PAUSE: Duration = Duration::from_millis(250);
const ALIKE: usize = 8;

/// Everything that runs all the time. Fields end in this order: who is asked ends last.
pub(super) struct Bed {
    pub(super) gateway: Program,
    upstreams: [Program; 2],
    /// Keeps a port from everybody.
    _taken: TcpListener,
    pub(super) folder: Folder,
    pub(super) places: Places,
    pub(super) public: String,
    admin: String,
    pub(super) plugin: PathBuf,
}

impl Bed {
    /// Starts everything; the gateway serves `version` with the configuration `mark`.
    pub(super) fn make(built: &Path, options: &Options, version: &Version) -> Outcome<Self> {
        let folder = Folder::create(options.folder())?;
        let plugin = folder.write("plugins.d/libstamp.so", &version.bytes)?;
        folder.install(built, "libheaders.so")?;
        let (echo, echo_at) = upstream(built, &folder, "--echo")?;
        let (calls, calls_at) = upstream(built, &folder, "--h2")?;
        let taken = TcpListener::bind("127.0.0.1:0").context("no port is free")?;
        let places = Places {
            echo: echo_at.public,
            calls: calls_at.public,
            taken: taken.local_addr().context("no port is free")?.to_string(),
        };
        let config = folder.write("swapgate.yaml", places.valid("first", 1))?;
        let mut gateway = start_gateway_logging(built, &folder, &config)?;
        let announced = gateway.announced(&folder.file("gateway.json"))?;
        let admin = announced
            .admin
            .ok_or_else(|| Failure::new("the gateway announced no admin listener"))?;
        Ok(Self {
            gateway,
            upstreams: [echo, calls],
            _taken: taken,
            folder,
            places,
            public: announced.public,
            admin,
            plugin,
        })
    }

    /// What the admin listener answers.
    pub(super) fn ask(&self, path: &str) -> Outcome<Value> {
        get_json(&self.admin, path)
    }

    /// What the gateway answers to a client that has just connected.
    pub(super) fn probe(&self) -> Outcome<Answer> {
        let answer = get(&self.public, "/probe", &[]).context("a new client got no answer")?;
        if answer.status == 200 {
            Ok(answer)
        } else {
            let Answer { status, body, .. } = answer;
            Err(Failure::new(format!(
                "a new client was answered with {status}: {body}"
            )))
        }
    }

    /// Waits until `look` finds something; everything has to run meanwhile.
    pub(super) fn until<T>(
        &mut self,
        what: &str,
        mut look: impl FnMut(&Self) -> Outcome<Option<T>>,
    ) -> Outcome<T> {
        let found = wait_for(what, CHANGE, || {
            self.gateway.must_run()?;
            for upstream in &mut self.upstreams {
                upstream.must_run()?;
            }
            let found = look(self)?;
            if found.is_none() {
                std::thread::sleep(LOOK);
            }
            Ok(found)
        });
        found.map_err(|failure| {
            let last = self
                .ask("/status")
                .map(|status| status["last_change"].clone());
            let last = last.unwrap_or_default();
            Failure::new(format!("{failure}; the last change was {last}"))
        })
    }

    /// What the gateway uses when nobody uses it: nothing old is held, and memory does not move any more.
    pub(super) fn usage_at_rest(&mut self) -> Outcome<Usage> {
        self.until("the gateway to be at rest", |bed| {
            let rest = is_at_rest(&bed.ask("/status")?, &bed.ask("/plugins")?);
            Ok(rest.then_some(()))
        })?;
        let mut looks: Vec<Usage> = Vec::new();
        let alike = |one: &Usage, other: &Usage| {
            one.anonymous_kb.abs_diff(other.anonymous_kb) <= 64
                && one.descriptors == other.descriptors
        };
        wait_for("memory not to move any more", CHANGE, || {
            std::thread::sleep(PAUSE);
            let now = self.usage()?;
            looks.retain(|before| alike(before, &now));
            looks.push(now);
            Ok((looks.len() >= ALIKE).then_some(now))
        })
    }

    /// What it uses just now.
    pub(super) fn usage(&self) -> Outcome<Usage> {
        Usage::of(self.gateway.pid(), &self.folder.state())
    }

    /// Ends the gateway, which must end well.
    pub(super) fn end(self) -> Outcome<()> {
        let status = self.gateway.stop(DRAIN)?;
        if status.success() {
            Ok(())
        } else {
            Err(Failure::new(format!(
                "the gateway did not end well after SIGTERM ({status})"
            )))
        }
    }
}

fn upstream(built: &Path, folder: &Folder, manner: &str) -> Outcome<(Program, Announced)> {
    let file = folder.file(&format!("upstream{manner}.json"));
    let mut command = Command::new(built.join("bench-upstream"));
    command.arg(manner).arg("--announce").arg(&file);
    let mut upstream = Program::start("an upstream", &mut command)?;
    let announced = upstream.announced(&file)?;
    Ok((upstream, announced))
}
