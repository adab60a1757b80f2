//! From raw to ready: what the words mean, and whether they fit together.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::client;
use super::entities;
use super::error::{ConfigError, NOT_FITTING, listed, nearest, quoted};
use super::life;
use super::listener;
use super::loader;
use super::node::{Node, child};
use super::raw::{RawConfig, RawDuration, RawKv, RawReadiness, RawSize};
use super::ready::{Blocking, Callouts, Config, Kv, Metrics, Place, Places, Readiness};
use super::resilience;
use super::route;
use super::structure::Broken;
use super::upstream;
use super::value::{self, Flaw};
use crate::config::allow::AllowList;

/// What validation knows and what it has found so far.
pub(super) struct Checker<'a> {
    pub(super) file: &'a Arc<str>,
    pub(super) tree: &'a Node,
    pub(super) broken: &'a Broken,
    pub(super) errors: Vec<ConfigError>,
}

/// Makes the configuration; what it returns is only worth something if the checker found nothing.
pub(super) fn config(
    check: &mut Checker<'_>,
    raw: &RawConfig,
    base: &Path,
    cores: usize,
) -> Config {
    let admin = listener::admin(check, &raw.admin);
    let listeners = listener::listeners(
        check,
        &raw.listeners,
        admin.address,
        (base, !raw.trusted_addresses.is_empty()),
    );
    let workers = raw.workers.and_then(|n| usize::try_from(n).ok());
    let upstreams = upstream::upstreams(check, &raw.upstreams, base);
    let services = entities::services(check, &raw.services, &raw.upstreams);
    let routes = route::routes(check, &raw.routes, (&services, &raw.upstreams));
    let plugins = entities::uses(check, "/plugins", &raw.plugins);
    if let Some(via) = &raw.via {
        check.value("/via", value::token(via));
    }
    Config {
        listeners,
        admin,
        workers: workers.unwrap_or(cores.max(1)),
        plugins_dir: folder(check, "/plugins_dir", &raw.plugins_dir, base),
        state_dir: folder(check, "/state_dir", &raw.state_dir, base),
        loader: loader::loader(check, &raw.loader),
        faults: loader::faults(check, &raw.faults),
        limits: client::limits(check, &raw.limits),
        overload: resilience::overload(check, &raw.overload),
        client_timeouts: client::client_timeouts(check, &raw.client_timeouts),
        client_headers: client::client_headers(check, &raw.client_headers),
        trusted_addresses: check.each("/trusted_addresses", &raw.trusted_addresses, |text| {
            value::network(text)
        }),
        upstream_allow: check.each("/upstream_allow", &raw.upstream_allow, |text| {
            value::allowed_address(text)
        }),
        via: raw.via.clone(),
        merge_slashes: raw.merge_slashes,
        readiness: match raw.readiness {
            RawReadiness::Normal => Readiness::Normal,
            RawReadiness::Strict => Readiness::Strict,
        },
        drain: life::drain(check, &raw.drain),
        process: life::process(check, &raw.process),
        metrics: Metrics {
            max_routes: within_schema(raw.metrics.max_routes),
        },
        kv: kv(check, &raw.kv),
        callouts: Callouts {
            allow: AllowList::new(check.each(
                "/callouts/allow",
                &raw.callouts.allow,
                value::allowed,
            )),
        },
        blocking: Blocking {
            threads: within_schema(raw.blocking.threads),
            queue: within_schema(raw.blocking.queue),
        },
        dns: resilience::dns(check, &raw.dns),
        upstreams,
        services,
        routes,
        plugins,
        places: Places {
            admin: check.tree.place(check.file, "", "/admin"),
            plugins_dir: check.tree.place(check.file, "", "/plugins_dir"),
            state_dir: check.tree.place(check.file, "", "/state_dir"),
            process: check.tree.place(check.file, "", "/process"),
            workers: check.tree.place(check.file, "", "/workers"),
        },
    }
}

impl Checker<'_> {
    /// Notes an error unless it follows from one that has been told.
    pub(super) fn error(&mut self, pointer: &str, build: impl FnOnce(Place) -> ConfigError) {
        if !self.broken.covers(pointer) {
            self.errors
                .push(build(self.tree.place(self.file, "", pointer)));
        }
    }

    /// Passes a value on, or notes why it was refused.
    pub(super) fn value<T>(&mut self, pointer: &str, result: Result<T, Flaw>) -> Option<T> {
        let flaw = match result {
            Ok(value) => return Some(value),
            Err(flaw) => flaw,
        };
        let found = self.found(pointer);
        self.error(pointer, |place| {
            ConfigError::new(place, NOT_FITTING)
                .found_if(found)
                .expected(flaw.expected)
                .advice_if(flaw.advice)
        });
        None
    }

    /// Reads each entry of a list and keeps the good ones.
    pub(super) fn each<T>(
        &mut self,
        pointer: &str,
        texts: &[String],
        read: impl Fn(&str) -> Result<T, Flaw>,
    ) -> Vec<T> {
        let read =
            |(i, text): (usize, &String)| self.value(&child(pointer, &i.to_string()), read(text));
        texts.iter().enumerate().filter_map(read).collect()
    }

    /// What stands at a place, secrets as the file writes them.
    pub(super) fn found(&self, pointer: &str) -> Option<String> {
        self.tree.find(pointer).map(Node::describe)
    }

    /// Whether a value was filled in; then no message of another room may be shown, for it may quote the value.
    pub(super) fn is_filled(&self, pointer: &str) -> bool {
        self.tree
            .find(pointer)
            .is_some_and(|node| node.written.is_some())
    }

    /// Notes every name that is malformed or stands twice.
    pub(super) fn names<'n>(&mut self, list: &str, names: impl Iterator<Item = &'n str>) {
        let mut seen: HashMap<&str, String> = HashMap::new();
        for (i, name) in names.enumerate() {
            let pointer = child(&child(list, &i.to_string()), "name");
            if self.value(&pointer, value::name(name)).is_none() {
                continue;
            }
            match seen.get(name) {
                None => {
                    seen.insert(name, pointer);
                }
                Some(first) if list.ends_with("/plugins") => {
                    let what = "this plugin is attached here already by";
                    self.twice(&pointer, what, &first.clone(), "keep one of the two");
                }
                Some(first) => self.twice(&pointer, NAME_TAKEN, &first.clone(), OTHER),
            }
        }
    }

    /// Notes a value that another place has already.
    pub(super) fn twice(&mut self, pointer: &str, what: &str, first: &str, advice: &str) {
        let first = self.tree.place(self.file, "", first);
        let found = self.found(pointer);
        self.error(pointer, |place| {
            let problem = format!("{what} {} in line {}", first.key, first.line);
            ConfigError::new(place, problem)
                .found_if(found)
                .advice(advice)
        });
    }

    pub(super) fn duration(&mut self, pointer: &str, raw: &RawDuration) -> Duration {
        self.value(pointer, value::duration(&raw.0))
            .unwrap_or(Duration::from_secs(1))
    }

    pub(super) fn size(&mut self, pointer: &str, raw: &RawSize) -> Option<u64> {
        match raw {
            RawSize::Number(bytes) => Some(*bytes),
            RawSize::Text(text) => self.value(pointer, value::size(text)),
        }
    }
}

const NAME_TAKEN: &str = "this name is taken by";
pub(super) const ADDRESS_TAKEN: &str = "this address is taken by";
pub(super) const OTHER: &str = "choose another one";

/// Stands for an address that was refused; no configuration with it is returned.
pub(super) const NOWHERE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn folder(check: &mut Checker<'_>, pointer: &str, text: &str, base: &Path) -> PathBuf {
    let is_path = !text.is_empty() && !text.contains('\0');
    let flaw = || Flaw::new("the path of a folder");
    check.value(pointer, is_path.then_some(()).ok_or_else(flaw));
    base.join(text)
}

fn kv(check: &mut Checker<'_>, raw: &RawKv) -> Kv {
    let enough = |bytes: &u64| *bytes >= Kv::LEAST_MEMORY;
    let flaw = || Flaw::new("a size of 32MiB or more");
    let memory = check
        .size("/kv/memory", &raw.memory)
        .map(|bytes| Some(bytes).filter(enough).ok_or_else(flaw))
        .and_then(|result| check.value("/kv/memory", result));
    Kv {
        memory: memory.unwrap_or(Kv::LEAST_MEMORY),
    }
}

/// A number whose range the schema has checked.
pub(super) fn within_schema(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// An unknown reference, with the nearest name that exists.
pub(super) fn unknown_reference(
    check: &mut Checker<'_>,
    pointer: &str,
    what: &str,
    name: &str,
    known: &[&str],
) {
    let found = check.found(pointer);
    let near = nearest(name, known.iter().copied());
    let expected = if known.is_empty() {
        format!("the name of an entry of {what}s, which is empty")
    } else {
        format!("one of {}", listed(known.iter().copied()))
    };
    check.error(pointer, |place| {
        ConfigError::new(place, format!("there is no {what} of this name"))
            .found_if(found)
            .expected(expected)
            .advice_if(near.map(|near| format!("did you mean {}?", quoted(near))))
    });
}
