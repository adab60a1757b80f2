//! From raw to ready: upstreams, services and plugins, which refer to each other.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use semver::VersionReq;

use super::node::{Node, child};
use super::plugin::Origin;
use super::raw::{
    RawAlgorithm, RawOnError, RawOnStateRefusal, RawPluginUse, RawService, RawTarget, RawUpstream,
};
use super::ready::{
    Algorithm, OnError, OnStateRefusal, PluginUse, Secret, Service, ServiceTimeouts, Target,
    Upstream,
};
use super::tls;
use super::validate::{ADDRESS_TAKEN, Checker, OTHER, unknown_reference};
use super::value::{self, Flaw};
use crate::endpoint::Endpoint;

pub(super) fn upstreams(
    check: &mut Checker<'_>,
    raw: &[RawUpstream],
    base: &Path,
) -> Vec<Upstream> {
    check.names("/upstreams", raw.iter().map(|upstream| &*upstream.name));
    let mut out = Vec::new();
    for (i, upstream) in raw.iter().enumerate() {
        let targets = targets(check, &format!("/upstreams/{i}/targets"), &upstream.targets);
        out.push(Upstream {
            name: upstream.name.as_str().into(),
            algorithm: match upstream.algorithm {
                RawAlgorithm::RoundRobin => Algorithm::RoundRobin,
            },
            protocol: tls::protocol(check, i, upstream),
            tls: tls::upstream(check, i, upstream, base),
            targets,
        });
    }
    out
}

fn targets(check: &mut Checker<'_>, list: &str, raw: &[RawTarget]) -> Vec<Target> {
    let mut seen: HashMap<Endpoint, String> = HashMap::new();
    let mut out = Vec::new();
    for (i, target) in raw.iter().enumerate() {
        let pointer = format!("{list}/{i}/address");
        let Some(address) = check.value(&pointer, value::target(&target.address)) else {
            continue;
        };
        if let Some(first) = seen.get(&address) {
            check.twice(&pointer, ADDRESS_TAKEN, &first.clone(), OTHER);
        }
        seen.insert(address.clone(), pointer);
        out.push(Target {
            address,
            weight: u32::try_from(target.weight).unwrap_or(1),
        });
    }
    out
}

pub(super) fn services(
    check: &mut Checker<'_>,
    raw: &[RawService],
    upstreams: &[RawUpstream],
) -> Vec<Service> {
    check.names("/services", raw.iter().map(|service| &*service.name));
    let known = Known::new(
        check,
        "upstream",
        "/upstreams",
        upstreams.iter().map(|u| &*u.name),
    );
    let mut out = Vec::new();
    for (i, service) in raw.iter().enumerate() {
        let at = format!("/services/{i}");
        let times = format!("{at}/timeouts");
        out.push(Service {
            name: service.name.as_str().into(),
            upstream: known.index(check, &child(&at, "upstream"), &service.upstream),
            timeouts: ServiceTimeouts {
                connect: check.duration(&child(&times, "connect"), &service.timeouts.connect),
                response: check.duration(&child(&times, "response"), &service.timeouts.response),
                idle: check.duration(&child(&times, "idle"), &service.timeouts.idle),
                tunnel: check.duration(&child(&times, "tunnel"), &service.timeouts.tunnel),
            },
            plugins: uses(check, &child(&at, "plugins"), &service.plugins),
        });
    }
    out
}

/// Plugins of one attachment; the same plugin stands there once at most.
pub(super) fn uses(check: &mut Checker<'_>, list: &str, raw: &[RawPluginUse]) -> Vec<PluginUse> {
    check.names(list, raw.iter().map(|plugin| &*plugin.name));
    let mut out = Vec::new();
    for (i, plugin) in raw.iter().enumerate() {
        let at = child(list, &i.to_string());
        let version = check.value(&child(&at, "version"), version(&plugin.version));
        let node = check.tree.find(&child(&at, "config"));
        let place = check.tree.place(check.file, "", &at);
        out.push(PluginUse {
            name: plugin.name.as_str().into(),
            version: version.unwrap_or_default(),
            config: Secret::new(node.map_or_else(|| "{}".to_owned(), Node::canonical)),
            on_error: match plugin.on_error {
                RawOnError::Closed => OnError::Closed,
                RawOnError::Open => OnError::Open,
            },
            on_state_refusal: match plugin.on_state_refusal {
                RawOnStateRefusal::StartEmpty => OnStateRefusal::StartEmpty,
                RawOnStateRefusal::KeepOld => OnStateRefusal::KeepOld,
            },
            priority: plugin.priority.and_then(|p| i32::try_from(p).ok()),
            origin: Origin::new(Arc::clone(check.file), &place.key, node),
            place,
        });
    }
    out
}

fn version(text: &str) -> Result<VersionReq, Flaw> {
    text.parse().map_err(|_| Flaw {
        expected: "a version requirement such as ^2, ~1.4 or \">=1.2, <1.5\"".to_owned(),
        advice: None,
    })
}

/// Names that can be referred to.
pub(super) struct Known<'a> {
    what: &'static str,
    names: Vec<&'a str>,
    index: HashMap<&'a str, usize>,
    /// Some entry has no usable name, so that nobody can say that a reference leads nowhere.
    uncertain: bool,
}

impl<'a> Known<'a> {
    pub(super) fn new(
        check: &Checker<'_>,
        what: &'static str,
        list: &str,
        names: impl Iterator<Item = &'a str>,
    ) -> Self {
        let names: Vec<&str> = names.collect();
        let broken_name = |(i, _)| check.broken.covers(&format!("{list}/{i}/name"));
        Self {
            what,
            uncertain: check.broken.covers(list) || names.iter().enumerate().any(broken_name),
            index: names
                .iter()
                .enumerate()
                .map(|(i, name)| (*name, i))
                .collect(),
            names,
        }
    }

    pub(super) fn index(&self, check: &mut Checker<'_>, pointer: &str, name: &str) -> usize {
        if let Some(index) = self.index.get(name) {
            return *index;
        }
        if !self.uncertain {
            unknown_reference(check, pointer, self.what, name, &self.names);
        }
        0
    }
}
