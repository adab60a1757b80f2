//! What the cases share: a gateway, its upstream, two ways to ask, and a look at what the process uses.

use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use swapgate_tests::gateway::Builder;
use swapgate_tests::process::{anonymous_bytes, cpu_ticks, descriptors};
use swapgate_tests::strace::Whose;
use swapgate_tests::{
    Client, Gateway, Load, Patched, Strace, Upstream, artifacts, wait_for, wait_until,
};

/// Bytes of a body: more than is copied into one piece before it is written.
const BODY: usize = 5000;
/// How long a client waits for a piece of an answer while calls fail.
const PATIENCE: Duration = Duration::from_secs(20);
/// Within so long it serves again, in the middle of all the times a call was made to fail: a machine may stand still for a
/// while under some of them, and not under most.
const SOON: Duration = Duration::from_secs(1);
/// Descriptors that may stay open between two looks: kept connections to targets.
const KEPT: usize = 16;
/// Memory that may stay: what the allocator keeps for later.
const GROWTH: u64 = 24 << 20;

/// A gateway with one worker before an upstream that closes after `/close` and keeps its connection otherwise.
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    _upstream: Upstream,
    kept: Option<Client>,
    asked: usize,
    before: Used,
    /// How long it took, from before a call failed, until everybody was served.
    took: Vec<Duration>,
}

/// What a process uses.
#[derive(Debug, Clone, Copy)]
struct Used {
    files: usize,
    memory: u64,
}

/// What became of a request; else why it was not answered as it should have been.
pub(crate) type Outcome = Result<(), String>;

/// A gateway that is not started, with these uses of plugins on its only route, before an upstream.
pub(crate) fn prepared(plugins: &str) -> (Builder, Upstream) {
    let upstream = upstream();
    let builder = Gateway::with(&config(plugins)).set("up", upstream.address());
    (builder, upstream)
}

/// The configuration of all of them, but for its beginning.
pub(crate) fn config(plugins: &str) -> String {
    format!(
        "\
workers: 1
client_timeouts: {{header: 60s}}
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}], health: {{passive: {{failures: 3}}}}}}]
services: [{{name: s, upstream: up}}]
routes: [{{name: all, service: s, plugins: [{plugins}]}}]
"
    )
}

fn upstream() -> Upstream {
    Upstream::start(|conversation| {
        loop {
            let request = conversation.receive()?;
            let closes = request.target.starts_with("/close");
            let connection = if closes { "close" } else { "keep-alive" };
            let body = body(&request.target);
            conversation.send(format!(
                "HTTP/1.1 200 OK\r\nconnection: {connection}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ))?;
            if closes {
                return Ok(());
            }
        }
    })
}

fn body(target: &str) -> String {
    target.chars().cycle().take(BODY).collect()
}

impl World {
    /// Without plugins.
    pub(crate) fn start() -> Self {
        let (builder, upstream) = prepared("");
        Self::of(builder.start(), upstream)
    }

    pub(crate) fn of(gateway: Gateway, upstream: Upstream) -> Self {
        let mut world = Self {
            before: used(&gateway),
            gateway,
            _upstream: upstream,
            kept: None,
            asked: 0,
            took: Vec::new(),
        };
        // What everybody shares is paid before anything is counted.
        for _ in 0..20 {
            world.both().expect("nothing fails yet");
        }
        world.before = used(&world.gateway);
        world
    }

    /// Asks on a new connection, for which the gateway needs a new one to the target.
    pub(crate) fn fresh(&mut self) -> Outcome {
        let target = self.target("close");
        let client = self.connect().map_err(|error| error.to_string())?;
        ask(client, "GET", &target, "connection: close\r\n").map(drop)
    }

    /// Asks on a connection that is kept, if the one before still is.
    pub(crate) fn kept(&mut self) -> Outcome {
        let target = self.target("keep");
        let client = match self.kept.take() {
            Some(client) => client,
            None => self.connect().map_err(|error| error.to_string())?,
        };
        let framing = format!("content-length: {BODY}\r\n");
        self.kept = Some(ask(client, "POST", &target, &framing)?);
        Ok(())
    }

    /// Both, one after the other.
    pub(crate) fn both(&mut self) -> Outcome {
        self.kept().and(self.fresh())
    }

    fn target(&mut self, kind: &str) -> String {
        self.asked += 1;
        format!("/{kind}/{}", self.asked)
    }

    fn connect(&self) -> std::io::Result<Client> {
        let client = Client::try_connect(self.gateway.address())?;
        client.set_limit(PATIENCE)?;
        Ok(client)
    }

    /// Has a call fail at its `nth` time while both ask, and looks whether that costs no more than it may: `most` requests
    /// for each call that failed.
    pub(crate) fn fails(&mut self, call: &str, error: &str, nth: usize, most: usize) {
        let how = format!("error={error}:when={nth}");
        let strace = Strace::inject(self.gateway.pid(), Whose::Threads, call, &how);
        let mut lost = Vec::new();
        // Whichever of them met the failure, it is none that took longer.
        let mut longest = Duration::ZERO;
        let failed = wait_for(&format!("{call} to fail"), || {
            let since = Instant::now();
            lost.extend(
                [self.fresh().err(), self.kept().err()]
                    .into_iter()
                    .flatten(),
            );
            longest = longest.max(since.elapsed());
            Some(strace.injected()).filter(|failed| !failed.is_empty())
        });
        let since = Instant::now();
        // It may have been the connection that is kept, which shows at the next request.
        lost.extend(self.kept().err());
        let what = format!("{call} fails with {error} at call {nth}");
        let until_served = wait_for(&format!("{what}: to be served"), || {
            self.both().ok().map(|()| longest + since.elapsed())
        });
        assert!(
            until_served < PATIENCE,
            "{what}: nothing went on until a client gave up, after {until_served:?}"
        );
        self.took.push(until_served);
        strace.detach();
        assert!(
            lost.len() <= most * failed.len(),
            "{what}: lost {lost:#?} by {failed:#?}"
        );
        self.both()
            .unwrap_or_else(|why| panic!("{what}: afterwards {why}"));
        self.lives();
    }

    /// It runs and nothing in it panicked.
    pub(crate) fn lives(&mut self) {
        let log = self.gateway.log();
        assert!(!log.contains("panicked"), "{log}");
        assert_eq!(self.gateway.admin("/healthz").status, 200);
    }

    /// Nothing is left of what failed, and nothing spins.
    pub(crate) fn is_as_before(&mut self) {
        self.took.sort_unstable();
        // A run of every call is one on a machine that does nothing else.
        let judged = match self.took.len() {
            0 => None,
            count if every_call() => self.took.get(count - 1),
            count => self.took.get(count / 2),
        };
        if let Some(judged) = judged {
            assert!(*judged <= SOON, "served late: {:?}", self.took);
        }
        self.kept = None;
        let before = self.before;
        wait_until("the descriptors to be as before", || {
            used(&self.gateway).files <= before.files + KEPT
        });
        let now = used(&self.gateway);
        assert!(
            now.memory <= before.memory + GROWTH,
            "memory grew: {before:?}, {now:?}"
        );
        rests(&self.gateway);
    }
}

/// Whether every call from the first to the twentieth is made to fail where a test run has a choice, which takes minutes, and
/// whether each of them is judged by its time.
pub(crate) fn every_call() -> bool {
    std::env::var_os("SWAPGATE_EVERY_CALL").is_some()
}

/// Load of two clients; answers other than those of the upstream are failures.
pub(crate) fn load(gateway: &Gateway) -> Load {
    let request = "GET /load HTTP/1.1\r\nHost: test\r\n\r\n";
    Load::start(gateway.address(), 2, request, |answer| {
        match (answer.status, answer.text() == body("/load")) {
            (200, true) => Ok(()),
            (status, _) => Err(format!("{status}: {}", answer.text())),
        }
    })
}

/// The stamp plugin with a text, without debug information, which would only make copying and hashing slow.
pub(crate) fn stamp(text: &str) -> Patched {
    static PLAIN: OnceLock<Patched> = OnceLock::new();
    let plain = PLAIN.get_or_init(|| {
        let folder = tempfile::tempdir().expect("the system has a temporary folder");
        let file = folder.path().join("stripped.so");
        let status = Command::new("strip")
            .args(["--strip-debug", "-o"])
            .args([&file, &artifacts::plugin("stamp")])
            .status()
            .expect("strip is installed, as every C compiler brings it");
        assert!(status.success(), "strip refused the plugin");
        Patched::read(&file)
    });
    plain.clone().stamp(text)
}

/// The stamp that an answer carries now.
#[track_caller]
pub(crate) fn stamp_of(gateway: &Gateway) -> Option<String> {
    let answer = gateway.get("/stamp");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.header("x-stamp-response")
}

/// Waits until answers carry this stamp.
#[track_caller]
pub(crate) fn wait_for_stamp(gateway: &Gateway, expected: &str) {
    wait_until(&format!("the stamp {expected}"), || {
        stamp_of(gateway).as_deref() == Some(expected)
    });
}

/// Sees that it uses next to no time while nobody asks.
pub(crate) fn rests(gateway: &Gateway) {
    // A worker that spins uses all of a second.
    const WINDOW: Duration = Duration::from_millis(500);
    const TICKS: u64 = 15;
    wait_until("the gateway to rest", || {
        let ticks = cpu_ticks(gateway.pid());
        let since = Instant::now();
        wait_until("a moment to pass", || since.elapsed() >= WINDOW);
        cpu_ticks(gateway.pid()) - ticks <= TICKS
    });
}

fn used(gateway: &Gateway) -> Used {
    Used {
        files: descriptors(gateway.pid()),
        memory: anonymous_bytes(gateway.pid()),
    }
}

/// Sends one request and checks its answer.
fn ask(mut client: Client, method: &str, target: &str, fields: &str) -> Result<Client, String> {
    let body_sent = if method == "POST" {
        body("x")
    } else {
        String::new()
    };
    let request = format!("{method} {target} HTTP/1.1\r\nHost: test\r\n{fields}\r\n{body_sent}");
    client
        .try_send(request)
        .map_err(|error| format!("{target}: {error}"))?;
    let answer = client
        .read_response(method)
        .map_err(|error| format!("{target}: {error}"))?;
    if answer.status != 200 {
        return Err(format!("{target}: {} {}", answer.status, answer.text()));
    }
    assert_eq!(answer.text(), body(target), "an answer to something else");
    Ok(client)
}
