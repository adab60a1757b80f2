//! A gateway with every kind of listener, under a name at which a test can put another executable.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use swapgate_tests::gateway::Builder;
use swapgate_tests::{
    Certificates, Client, Gateway, Upstream, artifacts, process, wait_for, wait_until,
};

/// The answer of the upstream.
pub(crate) const BODY: &str = "from the upstream\n";

/// A gateway and what stands behind it.
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) certificates: Certificates,
    pub(crate) supervised: bool,
    /// Its configuration.
    pub(crate) text: String,
    _upstream: Upstream,
}

impl World {
    /// Starts it; `settings` are further keys of the configuration.
    pub(crate) fn start(supervised: bool, settings: &str) -> Self {
        Self::with(supervised, settings, |builder| builder)
    }

    /// Starts it as a test wants it.
    pub(crate) fn with(
        supervised: bool,
        settings: &str,
        prepare: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let certificates = Certificates::new();
        let pair = certificates.server(&["a.test"]);
        let upstream = upstream();
        let text = configuration(&certificates, &pair.entry(), settings);
        let builder = Gateway::with_whole(&text)
            .set("up", upstream.address())
            .own_executable();
        let builder = if supervised {
            builder.argument("--supervised")
        } else {
            builder
        };
        Self {
            gateway: prepare(builder).start(),
            certificates,
            supervised,
            text,
            _upstream: upstream,
        }
    }

    /// A client that has changed over to the protocol of the upstream.
    pub(crate) fn tunnel(&self) -> Client {
        let mut client = self.gateway.client();
        client.send(
            "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n",
        );
        let head = client.read_head().expect("an answer");
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        client
    }

    /// Asks for an upgrade by signal, and waits for nothing.
    pub(crate) fn ask(&self) {
        kill_process(self.told(), Signal::USR2).expect("the gateway runs");
    }

    /// Waits until an upgrade is under way; the process that is to take over.
    pub(crate) fn newcomer(&self) -> u32 {
        let serving = self.gateway.serving();
        wait_for("a process that is to take over", || {
            let children = process::children(self.told());
            children.into_iter().find(|child| *child != serving)
        })
    }

    /// The listener in the file system.
    pub(crate) fn unix(&self) -> PathBuf {
        self.certificates.folder().join("gate.sock")
    }

    /// The executable that an upgrade starts.
    pub(crate) fn executable(&self) -> PathBuf {
        self.gateway.folder().join("swapgate")
    }

    /// Puts the real gateway there, as a package would.
    pub(crate) fn put_gateway(&self) {
        self.put(|path| symlink(artifacts::gateway(), path).expect("the folder is ours"));
    }

    /// Puts a script there.
    pub(crate) fn put_script(&self, text: &str) {
        self.put_file(&format!("#!/bin/sh\n{text}\n"), 0o755);
    }

    /// Puts a file there.
    pub(crate) fn put_file(&self, text: &str, mode: u32) {
        self.put(|path| {
            fs::write(path, text).expect("the folder is ours");
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the file is ours");
        });
    }

    fn put(&self, make: impl FnOnce(&PathBuf)) {
        let aside = self.gateway.folder().join("swapgate.aside");
        make(&aside);
        fs::rename(&aside, self.executable()).expect("the folder is ours");
    }

    /// Has another configuration serve.
    pub(crate) fn changes_to(&self, text: &str) {
        let generation = self.gateway.generation();
        self.gateway.rename_whole_config(text);
        let _ = self.gateway.wait_for_generation_after(generation);
    }

    /// The process that is told to upgrade.
    pub(crate) fn told(&self) -> Pid {
        if self.supervised {
            return self.gateway.pid();
        }
        pid(self.gateway.serving())
    }

    /// Asks for an upgrade by signal, and waits for its outcome.
    pub(crate) fn upgrade(&self) -> Value {
        let before = self.gateway.status()["upgrade"]["number"].as_u64();
        self.ask();
        self.outcome_after(before.unwrap_or(0))
    }

    /// The outcome of the upgrade after this one.
    pub(crate) fn outcome_after(&self, number: u64) -> Value {
        let status = self
            .gateway
            .wait_for_status("the outcome of an upgrade", |status| {
                let last = &status["upgrade"]["last"];
                let known = last["number"].as_u64().unwrap_or(0);
                known > number && status["upgrade"]["under_way_since_unix_ms"].is_null()
            });
        status["upgrade"]["last"].clone()
    }

    /// Demands that an upgrade succeeds; the number of the process that served before, and of the one that does now.
    pub(crate) fn upgrades(&self) -> (u32, u32) {
        let before = self.gateway.serving();
        let outcome = self.upgrade();
        assert_eq!(outcome["outcome"], "serves", "{outcome}");
        assert_eq!(outcome["from"]["pid"], before);
        let after = outcome["to"]["pid"].as_u64().expect("a process");
        let after = u32::try_from(after).expect("a number of a process");
        assert_ne!(before, after);
        // Until the old one has heard of it, either answers admin.
        wait_until("the new process alone to answer", || {
            (0..8).all(|_| self.gateway.serving() == after)
        });
        (before, after)
    }

    /// Demands that an upgrade is refused, for a reason with this text.
    pub(crate) fn is_refused(&self, why: &str) {
        let before = self.gateway.serving();
        let outcome = self.upgrade();
        assert_eq!(outcome["outcome"], "refused", "{outcome}");
        let said = outcome["why"].as_str().expect("a reason");
        assert!(said.contains(why), "{said}");
        assert_eq!(self.gateway.serving(), before, "the old one serves on");
    }

    /// Waits until nothing is left of a process, and nothing but the serving one is there.
    pub(crate) fn is_alone(&self) {
        let serving = self.gateway.serving();
        let told = u32::try_from(self.told().as_raw_nonzero().get()).expect("a number");
        let first = u32::try_from(self.gateway.pid().as_raw_nonzero().get()).expect("a number");
        wait_until("no other process to be left", || {
            process::with_argument(self.gateway.folder())
                .into_iter()
                .filter(|one| process::is_alive(*one))
                .all(|one| one == serving || one == told)
        });
        wait_until("no children to be left", || {
            let mut children = process::children(pid(serving));
            if told != serving {
                children.extend(process::children(pid(told)));
            }
            children
                .iter()
                .all(|child| *child == serving || *child == first)
        });
    }
}

/// The number of a process as the system's calls want it.
pub(crate) fn pid(number: u32) -> Pid {
    let number = i32::try_from(number).expect("a number of a process");
    Pid::from_raw(number).expect("a number of a process")
}

/// How many descriptors a process has open once that has come to rest.
pub(crate) fn descriptors(number: u32, most: usize) -> usize {
    wait_for("few descriptors", || {
        let open = process::descriptors(pid(number));
        (open <= most).then_some(open)
    })
}

/// What `swapgate upgrade` comes to: exit code, and what it says.
pub(crate) fn command(world: &World, further: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(artifacts::gateway());
    command.args([
        "upgrade",
        "--admin",
        &world.gateway.admin_address().to_string(),
    ]);
    let output = command.args(further).output().expect("the command runs");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// Answers everything alike, and agrees to a protocol that sends back what comes.
fn upstream() -> Upstream {
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    Upstream::start(move |conversation| {
        loop {
            let request = conversation.receive()?;
            if request.headers.get("upgrade").is_some() {
                break;
            }
            conversation.send(&answer)?;
        }
        conversation.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n",
        )?;
        loop {
            let byte = conversation.receive_exact(1)?;
            conversation.send(byte)?;
        }
    })
}

fn configuration(certificates: &Certificates, entry: &str, settings: &str) -> String {
    let unix = certificates.folder().join("gate.sock");
    format!(
        "\
format: 1
listeners:
  - {{name: plain, address: \"127.0.0.1:0\"}}
  - {{name: secure, address: \"127.0.0.2:0\", tls: {{certificates: [{entry}]}}}}
  - {{name: local, address: \"unix:{}\"}}
admin: {{address: \"127.0.0.1:0\"}}
plugins_dir: plugins.d
state_dir: state
workers: 2
{settings}
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: all, service: up, upgrades: [echo/1]}}]
",
        unix.display()
    )
}
