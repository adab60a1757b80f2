//! From raw to ready, second half: upstreams, services, routes and plugins, which refer to each other.

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use semver::VersionReq;

use super::error::ConfigError;
use super::node::{Node, child};
use super::plugin::Origin;
use super::raw::{
    RawAlgorithm, RawOnError, RawPluginUse, RawRoute, RawService, RawTarget, RawUpstream,
};
use super::ready::{
    Algorithm, OnError, PluginUse, Route, Secret, Service, ServiceTimeouts, Target, Upstream,
};
use super::validate::{ADDRESS_TAKEN, Checker, OTHER, unknown_reference};
use super::value::{self, Flaw};
use crate::router::pattern::{HostPattern, PathPattern};

pub(super) fn upstreams(check: &mut Checker<'_>, raw: &[RawUpstream]) -> Vec<Upstream> {
    check.names("/upstreams", raw.iter().map(|upstream| &*upstream.name));
    let mut out = Vec::new();
    for (i, upstream) in raw.iter().enumerate() {
        let targets = targets(check, &format!("/upstreams/{i}/targets"), &upstream.targets);
        out.push(Upstream {
            name: upstream.name.as_str().into(),
            algorithm: match upstream.algorithm {
                RawAlgorithm::RoundRobin => Algorithm::RoundRobin,
            },
            targets,
        });
    }
    out
}

fn targets(check: &mut Checker<'_>, list: &str, raw: &[RawTarget]) -> Vec<Target> {
    let mut seen: HashMap<SocketAddr, String> = HashMap::new();
    let mut out = Vec::new();
    for (i, target) in raw.iter().enumerate() {
        let pointer = format!("{list}/{i}/address");
        let Some(address) = check.value(&pointer, value::target(&target.address)) else {
            continue;
        };
        if let Some(first) = seen.get(&address) {
            check.twice(&pointer, ADDRESS_TAKEN, &first.clone(), OTHER);
        }
        seen.insert(address, pointer);
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
            },
            plugins: uses(check, &child(&at, "plugins"), &service.plugins),
        });
    }
    out
}

pub(super) fn routes(
    check: &mut Checker<'_>,
    raw: &[RawRoute],
    services: &[RawService],
) -> Vec<Route> {
    check.names("/routes", raw.iter().map(|route| &*route.name));
    let known = Known::new(
        check,
        "service",
        "/services",
        services.iter().map(|s| &*s.name),
    );
    let mut out = Vec::new();
    for (i, route) in raw.iter().enumerate() {
        let at = format!("/routes/{i}");
        let methods = child(&at, "methods");
        out.push(Route {
            name: route.name.as_str().into(),
            service: known.index(check, &child(&at, "service"), &route.service),
            hosts: patterns(check, &child(&at, "hosts"), &route.hosts, |text| {
                HostPattern::parse(text).map_err(|e| chain(&e))
            }),
            paths: patterns(check, &child(&at, "paths"), &route.paths, |text| {
                PathPattern::parse(text).map_err(|e| chain(&e))
            }),
            methods: check.each(&methods, &route.methods, value::method),
            priority: i32::try_from(route.priority).unwrap_or(0),
            strip_path: route.strip_path,
            preserve_host: route.preserve_host,
            body_bytes: route
                .body_bytes
                .as_ref()
                .and_then(|size| check.size(&child(&at, "body_bytes"), size)),
            plugins: uses(check, &child(&at, "plugins"), &route.plugins),
        });
    }
    out
}

/// Patterns of the router, whose own sentence says what is wrong with one.
fn patterns<T>(
    check: &mut Checker<'_>,
    list: &str,
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let mut out = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        let pointer = child(list, &i.to_string());
        match parse(text) {
            Ok(pattern) => out.push(pattern),
            Err(why) => {
                // The router quotes the text, which must not happen to a filled-in one.
                let hidden = check.is_filled(&pointer).then(|| check.found(&pointer));
                check.error(&pointer, |place| match hidden {
                    None => ConfigError::new(place, why),
                    Some(found) => {
                        ConfigError::new(place, "this pattern does not fit").found_if(found)
                    }
                });
            }
        }
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
struct Known<'a> {
    what: &'static str,
    names: Vec<&'a str>,
    index: HashMap<&'a str, usize>,
    /// Some entry has no usable name, so that nobody can say that a reference leads nowhere.
    uncertain: bool,
}

impl<'a> Known<'a> {
    fn new(
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

    fn index(&self, check: &mut Checker<'_>, pointer: &str, name: &str) -> usize {
        if let Some(index) = self.index.get(name) {
            return *index;
        }
        if !self.uncertain {
            unknown_reference(check, pointer, self.what, name, &self.names);
        }
        0
    }
}

/// An error with its causes in one sentence.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(", {error}"));
        cause = error.source();
    }
    text
}
