//! From raw to ready: services and plugins, and names that refer to others.

use std::collections::HashMap;
use std::sync::Arc;

use semver::VersionReq;

use super::node::{Node, child};
use super::plugin::Origin;
use super::raw::{RawOnError, RawOnStateRefusal, RawPluginUse, RawService, RawUpstream};
use super::ready::{OnError, OnStateRefusal, PluginUse, Secret, Service, ServiceTimeouts};
use super::resilience;
use super::validate::{Checker, unknown_reference};
use super::value::Flaw;

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
        let total = service.timeouts.total.as_ref();
        let retries = service.retries.as_ref();
        out.push(Service {
            name: service.name.as_str().into(),
            upstream: known.index(check, &child(&at, "upstream"), &service.upstream),
            timeouts: ServiceTimeouts {
                connect: check.duration(&child(&times, "connect"), &service.timeouts.connect),
                response: check.duration(&child(&times, "response"), &service.timeouts.response),
                idle: check.duration(&child(&times, "idle"), &service.timeouts.idle),
                tunnel: check.duration(&child(&times, "tunnel"), &service.timeouts.tunnel),
                total: total.map(|total| check.duration(&child(&times, "total"), total)),
            },
            retries: retries
                .map(|raw| Arc::new(resilience::retries(check, &child(&at, "retries"), raw))),
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
