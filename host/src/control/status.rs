//! What the admin listener shows, kept by control and read at any time.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::explain::View;
use super::resolve::Resolved;
use crate::config::ready::{Action, Config, PluginUse, Readiness};
use crate::snapshot::{Left, Snapshot, Upstream};
use crate::supervise::upgrade::Standing;
use crate::tls::shown::Expiry;

/// A handle that any thread may keep.
#[derive(Clone)]
pub struct Board(Arc<RwLock<Status>>, Arc<Notify>);

/// What is known of the process.
pub struct Status {
    started: Instant,
    workers: usize,
    /// The generation that serves; 0 before the first.
    pub generation: u64,
    /// Older generations that are still held: generation and number of workers.
    pub draining: Vec<(u64, usize)>,
    /// Workers that have not taken over the generation yet, from 0.
    pub lagging: Vec<usize>,
    /// The last change and what became of it.
    pub last_change: Option<Change>,
    /// The last time that names of targets led elsewhere.
    pub last_discovery: Option<Change>,
    /// Names of targets, with what is known of them.
    pub names: Vec<Value>,
    /// A configuration that waits for a plugin, or for files that it names.
    pub pending: Option<Vec<String>>,
    /// Uses without an instance, each with its reason.
    pub degraded: Vec<String>,
    /// Whether a global plugin is among them.
    pub global_missing: bool,
    /// What an operator should know and need not act on.
    pub notes: Vec<String>,
    /// The same of certificates.
    pub warnings: Vec<String>,
    /// When they end.
    pub expiries: Vec<Expiry>,
    /// Plugin files that are not taken.
    pub refused: Vec<Value>,
    /// Calls into plugins that have not returned.
    pub stuck: Vec<String>,
    /// Names and real addresses.
    pub listeners: Vec<Value>,
    /// As `/routes` shows them.
    pub routes: Value,
    /// Those that serve, as `/upstreams` shows them; they keep no plugin from ending.
    pub upstreams: Vec<Arc<Upstream>>,
    /// What `/explain` is asked about; plain data that keeps no plugin from ending.
    pub view: Option<Arc<View>>,
    /// When `/readyz` says yes.
    pub readiness: Readiness,
    /// Whether everything configured could once be served.
    pub once_complete: bool,
    /// Whether the process is on its way out.
    pub stopping: bool,
    /// How far it is with that.
    pub drain: Option<Drain>,
    /// Whether another process serves in its place.
    pub replaced: bool,
    /// The supervising process, if there is one.
    pub supervisor: Option<u32>,
    /// How upgrades went.
    pub upgrade: Standing,
    /// What the gateway lost by a panic that only a new process mends.
    pub broken: Option<String>,
}

/// How far a process on its way out is.
#[derive(Debug, Clone, Copy)]
pub struct Drain {
    /// What is left.
    pub left: Left,
    /// For how long at most.
    pub time: Duration,
}

impl Drain {
    fn document(self) -> Value {
        json!({
            "connections": self.left.connections,
            "exchanges": self.left.exchanges,
            "tunnels": self.left.tunnels,
            "time_left_s": self.time.as_secs(),
        })
    }
}

/// A change, and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// Counts attempts, so that two refusals of the same thing can be told apart.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// `start`, `reload`, `folder`, `files` or `discovery`.
    pub trigger: &'static str,
    /// `published` or `refused`.
    pub outcome: &'static str,
    /// What changed, in words.
    pub changes: Vec<String>,
    /// Why it was refused.
    pub errors: Vec<String>,
}

impl Change {
    /// A change that was made now.
    #[must_use]
    pub fn published(number: u64, trigger: &'static str, changes: Vec<String>) -> Self {
        Self::now(number, trigger, "published", (changes, Vec::new()))
    }

    /// A change that was refused now.
    #[must_use]
    pub fn refused(number: u64, trigger: &'static str, errors: Vec<String>) -> Self {
        Self::now(number, trigger, "refused", (Vec::new(), errors))
    }

    fn now(
        number: u64,
        trigger: &'static str,
        outcome: &'static str,
        (changes, errors): (Vec<String>, Vec<String>),
    ) -> Self {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let at_unix_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Self {
            number,
            at_unix_ms,
            trigger,
            outcome,
            changes,
            errors,
        }
    }
}

impl Board {
    /// A process that has just started.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self(
            Arc::new(RwLock::new(Status {
                started: Instant::now(),
                workers,
                generation: 0,
                draining: Vec::new(),
                lagging: Vec::new(),
                last_change: None,
                last_discovery: None,
                names: Vec::new(),
                pending: None,
                degraded: Vec::new(),
                global_missing: false,
                notes: Vec::new(),
                warnings: Vec::new(),
                expiries: Vec::new(),
                refused: Vec::new(),
                stuck: Vec::new(),
                listeners: Vec::new(),
                routes: Value::Array(Vec::new()),
                upstreams: Vec::new(),
                view: None,
                readiness: Readiness::Normal,
                once_complete: false,
                stopping: false,
                drain: None,
                replaced: false,
                supervisor: None,
                upgrade: Standing::default(),
                broken: None,
            })),
            Arc::default(),
        )
    }

    /// Changes what is known.
    pub fn update<T>(&self, change: impl FnOnce(&mut Status) -> T) -> T {
        let changed = change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
        self.1.notify_one();
        changed
    }

    /// Waits until something was changed since the last time that somebody waited; there is one who does.
    pub async fn changed(&self) {
        self.1.notified().await;
    }

    /// Reads what is known.
    pub fn read<T>(&self, read: impl FnOnce(&Status) -> T) -> T {
        read(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Status {
    /// `/status`
    #[must_use]
    pub fn document(&self) -> Value {
        let draining: Vec<Value> = self
            .draining
            .iter()
            .map(|(generation, workers)| json!({ "generation": generation, "workers": workers }))
            .collect();
        let notes = [&self.notes[..], &self.warnings[..]].concat();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "supervisor_pid": self.supervisor,
            "abi": format!("{}.{}", swapgate_abi::ABI_MAJOR, swapgate_abi::ABI_MINOR),
            "uptime_s": self.started.elapsed().as_secs(),
            "workers": self.workers,
            "generation": self.generation,
            "draining": draining,
            "lagging": self.lagging,
            "listeners": self.listeners,
            "last_change": self.last_change,
            "last_discovery": self.last_discovery,
            "names": self.names,
            "pending": self.pending,
            "ready": self.ready(),
            "broken": self.broken,
            "degraded": self.degraded,
            "notes": notes,
            "refused": self.refused,
            "stuck": self.stuck,
            "upgrade": self.upgrade,
            "drain": self.drain.map(Drain::document),
        })
    }

    /// Whether `/readyz` says yes.
    #[must_use]
    pub fn ready(&self) -> bool {
        let complete = self.degraded.is_empty();
        let serves = self.generation > 0
            && self.once_complete
            && !self.global_missing
            && !self.stopping
            && self.broken.is_none();
        match self.readiness {
            Readiness::Normal => serves,
            Readiness::Strict => serves && complete,
        }
    }
}

/// `/routes`: every route with the plugins that run on it, in their order.
#[must_use]
pub fn routes(config: &Config, snapshot: &Snapshot) -> Value {
    let one = |(route, built): (&crate::config::ready::Route, &crate::snapshot::Route)| {
        let plugins: Vec<Value> = built
            .plan
            .chain
            .links()
            .iter()
            .map(|link| {
                let identity = link.instance.identity();
                json!({ "id": identity.id, "version": identity.version, "digest": identity.digest, "priority": link.priority })
            })
            .collect();
        json!({
            "name": &*route.name,
            "service": route.service().and_then(|service| config.services.get(service)).map(|service| &*service.name),
            "action": action(&route.action),
            "hosts": route.hosts.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "paths": route.paths.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "methods": route.methods.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "priority": route.priority,
            "plugins": plugins,
            "unavailable": built.plan.unavailable,
        })
    };
    config
        .routes
        .iter()
        .zip(&snapshot.routes)
        .map(one)
        .collect()
}

/// What a route does, in one word.
fn action(action: &Action) -> &'static str {
    match action {
        Action::Forward(_) => "forward",
        Action::Redirect(_) => "redirect",
        Action::Respond(_) => "respond",
    }
}

/// Whether a global use has no instance.
#[must_use]
pub fn global_missing(config: &Config, resolved: &[Resolved]) -> bool {
    let global: &[PluginUse] = &config.plugins;
    resolved.iter().take(global.len()).any(Result::is_err)
}
