//! What a reload changes, as data and in words.
//!
//! Plugins are told apart here only for the words; which instances live on is decided where images are known.

use std::sync::Arc;

use super::error::ConfigError;
use super::ready::{
    Action, Config, Forward, Listener, Mirror, Place, PluginUse, Route, Service, Upstream,
};

/// What a reload changes.
#[derive(Debug, Clone, Default)]
pub struct Diff {
    /// What happens to listeners.
    pub listeners: Listeners,
    /// What cannot be changed without a restart. A reload with any of these is refused.
    pub restart: Vec<ConfigError>,
    /// One short sentence for each change; empty if nothing changes.
    pub words: Vec<String>,
}

/// What happens to listeners. One is the same if it binds the same address, whatever its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listeners {
    /// To be bound before anything is published.
    pub added: Vec<Listener>,
    /// To be closed once everything is published.
    pub removed: Vec<Listener>,
    /// Those that keep their sockets, by their new names.
    pub kept: Vec<Listener>,
}

/// Compares two configurations.
#[must_use]
pub fn diff(old: &Config, new: &Config) -> Diff {
    let listeners = listeners(&old.listeners, &new.listeners);
    let mut words = Vec::new();
    opened_and_closed(&mut words, &listeners, &old.listeners);
    settings(old, new, &mut words);
    let same = |a: &Upstream, b: &Upstream| a == b;
    entities(
        &mut words,
        "upstream",
        &old.upstreams,
        &new.upstreams,
        |u| &u.name,
        same,
    );
    let same = |a: &Service, b: &Service| same_service(old, a, new, b);
    entities(
        &mut words,
        "service",
        &old.services,
        &new.services,
        |s| &s.name,
        same,
    );
    let same = |a: &Route, b: &Route| same_route(old, a, new, b);
    entities(
        &mut words,
        "route",
        &old.routes,
        &new.routes,
        |r| &r.name,
        same,
    );
    entities(
        &mut words,
        "global plugin",
        &old.plugins,
        &new.plugins,
        |p| &p.name,
        same_use,
    );
    Diff {
        listeners,
        restart: restart(old, new),
        words,
    }
}

fn opened_and_closed(words: &mut Vec<String>, listeners: &Listeners, old: &[Listener]) {
    for listener in &listeners.added {
        words.push(format!(
            "listener {} added on {}",
            listener.name, listener.address
        ));
    }
    for listener in &listeners.removed {
        words.push(format!(
            "listener {} removed from {}",
            listener.name, listener.address
        ));
    }
    for listener in &listeners.kept {
        let before = old.iter().find(|one| one.address == listener.address);
        if before.is_some_and(|before| before != listener) {
            words.push(format!("listener {} changed", listener.name));
        }
    }
}

/// Whether two uses ask for the same; their places do not matter.
#[must_use]
pub fn same_use(a: &PluginUse, b: &PluginUse) -> bool {
    a.name == b.name
        && a.version == b.version
        && a.config == b.config
        && a.on_error == b.on_error
        && a.on_state_refusal == b.on_state_refusal
        && a.priority == b.priority
}

fn listeners(old: &[Listener], new: &[Listener]) -> Listeners {
    let not_in = |list: &[Listener], one: &Listener| list.iter().all(|l| l.address != one.address);
    let (added, kept) = new.iter().cloned().partition(|l| not_in(old, l));
    Listeners {
        added,
        kept,
        removed: old.iter().filter(|l| not_in(new, l)).cloned().collect(),
    }
}

fn restart(old: &Config, new: &Config) -> Vec<ConfigError> {
    let mut out = Vec::new();
    let advice = "restart the gateway, or put the old value back";
    let mut differs = |place: &Place, what: &str| {
        let problem = format!("a change of {what} needs a restart");
        out.push(ConfigError::new(place.clone(), problem).advice(advice));
    };
    if old.admin != new.admin {
        differs(&new.places.admin, "admin");
    }
    if old.workers != new.workers {
        differs(&new.places.workers, "workers");
    }
    if old.plugins_dir != new.plugins_dir {
        differs(&new.places.plugins_dir, "plugins_dir");
    }
    if old.state_dir != new.state_dir {
        differs(&new.places.state_dir, "state_dir");
    }
    if old.process != new.process {
        differs(&new.places.process, "process");
    }
    super::error::sort(&mut out);
    out
}

fn settings(old: &Config, new: &Config, words: &mut Vec<String>) {
    let mut changed = |differs: bool, what: &str| {
        if differs {
            words.push(format!("{what} changed"));
        }
    };
    changed(old.loader != new.loader, "loader");
    changed(old.faults != new.faults, "faults");
    changed(old.limits != new.limits, "limits");
    changed(old.overload != new.overload, "overload");
    changed(
        old.client_timeouts != new.client_timeouts,
        "client_timeouts",
    );
    changed(old.client_headers != new.client_headers, "client_headers");
    changed(
        old.trusted_addresses != new.trusted_addresses,
        "trusted_addresses",
    );
    changed(old.upstream_allow != new.upstream_allow, "upstream_allow");
    changed(old.via != new.via, "via");
    changed(old.merge_slashes != new.merge_slashes, "merge_slashes");
    changed(old.readiness != new.readiness, "readiness");
    changed(old.drain != new.drain, "drain");
    changed(old.metrics != new.metrics, "metrics");
    changed(old.kv != new.kv, "kv");
    changed(old.callouts != new.callouts, "callouts");
    changed(old.blocking != new.blocking, "blocking");
    changed(old.dns != new.dns, "dns");
}

/// Says which entities of one kind were added, removed and changed.
fn entities<T>(
    words: &mut Vec<String>,
    what: &str,
    old: &[T],
    new: &[T],
    name: impl Fn(&T) -> &Arc<str>,
    same: impl Fn(&T, &T) -> bool,
) {
    let by_name = |list: &[T]| -> std::collections::BTreeMap<Arc<str>, usize> {
        let named = list.iter().enumerate();
        named
            .map(|(i, entity)| (Arc::clone(name(entity)), i))
            .collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    for (name, i) in &after {
        match before.get(name).map(|j| (old.get(*j), new.get(*i))) {
            None => words.push(format!("{what} {name} added")),
            Some((Some(a), Some(b))) if !same(a, b) => words.push(format!("{what} {name} changed")),
            Some(_) => {}
        }
    }
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        words.push(format!("{what} {name} removed"));
    }
}

fn same_uses(a: &[PluginUse], b: &[PluginUse]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_use(a, b))
}

/// References are compared by name, for an index changes when another entity comes or goes.
fn same_service(old: &Config, a: &Service, new: &Config, b: &Service) -> bool {
    let upstream = |config: &Config, s: &Service| {
        config
            .upstreams
            .get(s.upstream)
            .map(|u| Arc::clone(&u.name))
    };
    upstream(old, a) == upstream(new, b)
        && a.timeouts == b.timeouts
        && a.retries == b.retries
        && same_uses(&a.plugins, &b.plugins)
}

fn same_route(old: &Config, a: &Route, new: &Config, b: &Route) -> bool {
    let service = |config: &Config, r: &Route| {
        let service = config.services.get(r.service()?);
        service.map(|s| Arc::clone(&s.name))
    };
    service(old, a) == service(new, b)
        && same_action((old, &a.action), (new, &b.action))
        && a.hosts == b.hosts
        && a.paths == b.paths
        && a.methods == b.methods
        && a.conditions == b.conditions
        && a.priority == b.priority
        && a.regex_priority == b.regex_priority
        && a.body_bytes == b.body_bytes
        && same_uses(&a.plugins, &b.plugins)
}

/// The indices of services and upstreams do not matter; their names are compared.
fn same_action((old, a): (&Config, &Action), (new, b): (&Config, &Action)) -> bool {
    let (a, b) = match (a, b) {
        (Action::Forward(a), Action::Forward(b)) => (a, b),
        (a, b) => return a == b,
    };
    let named = |config: &Config, at: usize| config.upstreams.get(at).map(|u| Arc::clone(&u.name));
    let shares = |config: &Config, forward: &Forward| {
        let split = forward.split.iter();
        split
            .map(|part| (named(config, part.upstream), part.weight))
            .collect::<Vec<_>>()
    };
    let mirrored = |config: &Config, forward: &Forward| {
        forward.mirror.map(|mirror| {
            let name = named(config, mirror.upstream);
            (
                name,
                Mirror {
                    upstream: 0,
                    ..mirror
                },
            )
        })
    };
    a.path == b.path
        && a.preserve_host == b.preserve_host
        && a.upgrades == b.upgrades
        && a.timeouts == b.timeouts
        && a.retries == b.retries
        && a.concurrency == b.concurrency
        && shares(old, a) == shares(new, b)
        && mirrored(old, a) == mirrored(new, b)
}
