//! From raw to ready: what the words mean, and whether they fit together.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::entities;
use super::error::{ConfigError, quoted};
use super::node::{Node, child};
use super::raw::{
    RawAdmin, RawClientTimeouts, RawConfig, RawDrain, RawDuration, RawLimits, RawListener,
    RawLoader, RawPermissions, RawReadiness, RawSize, RawUnload,
};
use super::ready::{
    Admin, ClientTimeouts, Config, Drain, Limits, Listener, Loader, Permissions, Places, Readiness,
    Secret, UnloadPolicy,
};
use super::structure::Broken;
use super::value::{self, Flaw};

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
    let admin = admin(check, &raw.admin);
    let listeners = listeners(check, &raw.listeners, admin.address);
    let workers = raw.workers.and_then(|n| usize::try_from(n).ok());
    let upstreams = entities::upstreams(check, &raw.upstreams);
    let services = entities::services(check, &raw.services, &raw.upstreams);
    let routes = entities::routes(check, &raw.routes, &raw.services);
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
        loader: loader(check, &raw.loader),
        limits: limits(check, &raw.limits),
        client_timeouts: client_timeouts(check, &raw.client_timeouts),
        trusted_addresses: check.each("/trusted_addresses", &raw.trusted_addresses, |text| {
            value::network(text)
        }),
        via: raw.via.clone(),
        merge_slashes: raw.merge_slashes,
        readiness: match raw.readiness {
            RawReadiness::Normal => Readiness::Normal,
            RawReadiness::Strict => Readiness::Strict,
        },
        drain: drain(check, &raw.drain),
        upstreams,
        services,
        routes,
        plugins,
        places: Places {
            admin: check.tree.place(check.file, "", "/admin"),
            state_dir: check.tree.place(check.file, "", "/state_dir"),
            workers: check.tree.place(check.file, "", "/workers"),
        },
    }
}

impl Checker<'_> {
    /// Notes an error unless it follows from one that has been told.
    pub(super) fn error(&mut self, pointer: &str, build: impl FnOnce(ConfigError) -> ConfigError) {
        if !self.broken.covers(pointer) {
            let place = self.tree.place(self.file, "", pointer);
            self.errors
                .push(build(ConfigError::new(place, String::new())));
        }
    }

    /// Passes a value on, or notes why it was refused.
    pub(super) fn value<T>(&mut self, pointer: &str, result: Result<T, Flaw>) -> Option<T> {
        let flaw = match result {
            Ok(value) => return Some(value),
            Err(flaw) => flaw,
        };
        let found = self.found(pointer);
        self.error(pointer, |mut error| {
            error.problem = "this value does not fit".to_owned();
            error.found = found;
            error.expected = Some(flaw.expected);
            error.advice = flaw.advice;
            error
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
                Some(first) => self.twice(&pointer, "this name", &first.clone()),
            }
        }
    }

    /// Notes a value that another place has already.
    pub(super) fn twice(&mut self, pointer: &str, what: &str, first: &str) {
        let first = self.tree.place(self.file, "", first);
        let found = self.found(pointer);
        self.error(pointer, |mut error| {
            error.problem = format!("{what} is taken by {} in line {}", first.key, first.line);
            error.found = found;
            error.advice("choose another one")
        });
    }

    pub(super) fn duration(&mut self, pointer: &str, raw: &RawDuration) -> Duration {
        self.value(pointer, value::duration(&raw.0))
            .unwrap_or(Duration::from_secs(1))
    }

    pub(super) fn size(&mut self, pointer: &str, raw: &RawSize) -> u64 {
        match raw {
            RawSize::Number(bytes) => *bytes,
            RawSize::Text(text) => self.value(pointer, value::size(text)).unwrap_or(0),
        }
    }
}

fn admin(check: &mut Checker<'_>, raw: &RawAdmin) -> Admin {
    let address = check.value("/admin/address", value::address(&raw.address));
    if let Some(token) = &raw.token {
        check.value("/admin/token", value::bearer(token));
    }
    let loopback = address.is_none_or(|address| address.ip().is_loopback());
    if !loopback && raw.token.is_none() {
        check.error("/admin/token", |mut error| {
            error.problem = "an admin address that is not loopback needs a token".to_owned();
            error.advice("write token: \"${env:NAME}\", or bind to 127.0.0.1")
        });
    }
    Admin {
        address: address.unwrap_or(NOWHERE),
        token: raw.token.clone().map(Secret::new),
    }
}

/// Stands for an address that was refused; no configuration with it is returned.
pub(super) const NOWHERE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn listeners(check: &mut Checker<'_>, raw: &[RawListener], admin: SocketAddr) -> Vec<Listener> {
    check.names("/listeners", raw.iter().map(|listener| &*listener.name));
    let mut seen: HashMap<SocketAddr, String> = HashMap::new();
    // Port 0 asks the system for a free port, so two of them are not the same address.
    if admin.port() != 0 {
        seen.insert(admin, "/admin/address".to_owned());
    }
    let mut out = Vec::new();
    for (i, listener) in raw.iter().enumerate() {
        let pointer = format!("/listeners/{i}/address");
        let Some(address) = check.value(&pointer, value::address(&listener.address)) else {
            continue;
        };
        if let Some(first) = seen.get(&address).filter(|_| address.port() != 0) {
            check.twice(&pointer, "this address", &first.clone());
        }
        seen.insert(address, pointer);
        out.push(Listener {
            name: listener.name.as_str().into(),
            address,
        });
    }
    out
}

fn folder(check: &mut Checker<'_>, pointer: &str, text: &str, base: &Path) -> PathBuf {
    if text.is_empty() || text.contains('\0') {
        let found = check.found(pointer);
        check.error(pointer, |mut error| {
            error.problem = "this value does not fit".to_owned();
            error.found = found;
            error.expected("the path of a folder")
        });
    }
    base.join(text)
}

fn loader(check: &mut Checker<'_>, raw: &RawLoader) -> Loader {
    Loader {
        permissions: match raw.permissions {
            RawPermissions::Strict => Permissions::Strict,
            RawPermissions::Relaxed => Permissions::Relaxed,
        },
        preflight_timeout: check.duration("/loader/preflight_timeout", &raw.preflight_timeout),
        call_timeout: check.duration("/loader/call_timeout", &raw.call_timeout),
        unload: match raw.unload {
            RawUnload::Auto => UnloadPolicy::Auto,
            RawUnload::Never => UnloadPolicy::Never,
        },
        max_images: within_schema(raw.max_images),
    }
}

fn limits(check: &mut Checker<'_>, raw: &RawLimits) -> Limits {
    // hyper asks for a buffer of 8 KiB at least; a head above 16 MiB is an attack, not a request.
    const HEADS: std::ops::RangeInclusive<u64> = 8 << 10..=16 << 20;
    let header_bytes = check.size("/limits/header_bytes", &raw.header_bytes);
    if !HEADS.contains(&header_bytes) {
        let found = check.found("/limits/header_bytes");
        let told_already =
            matches!(&raw.header_bytes, RawSize::Text(text) if value::size(text).is_err());
        if !told_already {
            check.error("/limits/header_bytes", |mut error| {
                error.problem = "this value does not fit".to_owned();
                error.found = found;
                error.expected("a size from 8KiB to 16MiB")
            });
        }
    }
    Limits {
        header_bytes: within_schema(header_bytes),
        headers: within_schema(raw.headers),
        body_bytes: check.size("/limits/body_bytes", &raw.body_bytes),
        connections: within_schema(raw.connections),
    }
}

fn client_timeouts(check: &mut Checker<'_>, raw: &RawClientTimeouts) -> ClientTimeouts {
    ClientTimeouts {
        header: check.duration("/client_timeouts/header", &raw.header),
        body: check.duration("/client_timeouts/body", &raw.body),
        idle: check.duration("/client_timeouts/idle", &raw.idle),
    }
}

fn drain(check: &mut Checker<'_>, raw: &RawDrain) -> Drain {
    Drain {
        max: raw
            .max
            .as_ref()
            .map(|max| check.duration("/drain/max", max)),
        shutdown: check.duration("/drain/shutdown", &raw.shutdown),
    }
}

/// A number whose range the schema has checked.
fn within_schema(number: u64) -> usize {
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
    let near = super::error::nearest(name, known.iter().copied());
    check.error(pointer, |mut error| {
        error.problem = format!("there is no {what} of this name");
        error.found = found;
        error.expected = Some(if known.is_empty() {
            format!("the name of an entry of {what}s, which is empty")
        } else {
            format!("one of {}", super::error::listed(known.iter().copied()))
        });
        error.advice = near.map(|near| format!("did you mean {}?", quoted(near)));
        error
    });
}
