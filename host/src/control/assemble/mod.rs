//! From a configuration and its instances to a snapshot. What is counted and remembered of names comes from the shelves of
//! [`Metrics`], which make it where it is new, as of now; besides, nothing is read or changed.

mod plan;
mod reusable;
mod route;
mod upstream;

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderValue;

use super::resolve::{Resolved, uses};
use crate::config::ready::Config;
use crate::counted::Metrics;
use crate::discovery::Known;
use crate::snapshot::{Service, Settings, Snapshot, secured};
use crate::tls::Material;

use plan::Plans;
use upstream::{elsewhere, upstreams};

pub(super) use plan::merged;
pub use reusable::Reusable;
pub(super) use route::rules;

/// Builds a generation. `resolved` has one entry for each use, in the order of [`uses`]. `before` is the generation of the
/// same configuration that serves, or what it begins with.
#[must_use]
pub fn snapshot(
    config: &Config,
    resolved: &[Resolved],
    generation: u64,
    metrics: &Metrics,
    material: &Material,
    known: &Known,
    before: &Reusable,
) -> Snapshot {
    let Plans {
        global,
        routes: plans,
    } = Plans::of(config, resolved);
    let routes = route::routes(config, plans, metrics);
    let shared = routes.iter().enumerate();
    let shared = shared.filter(|(_, route)| route.is_shared());
    let shared = shared.map(|(at, _)| at).collect();
    let upstreams = upstreams(config, generation, metrics, (material, known), before);
    Snapshot {
        generation,
        settings: settings(config),
        table: before.routing(),
        shared,
        routes,
        services: config.services.iter().map(service).collect(),
        service_names: named(&config.services),
        elsewhere: elsewhere(metrics),
        secured: secured(&upstreams),
        upstreams,
        global,
        account: Arc::clone(metrics.routes.unrouted()),
        admission: Arc::clone(&metrics.admission),
    }
}

/// The uses that got nothing, each with its reason; what `degraded` shows.
#[must_use]
pub fn degraded(config: &Config, resolved: &[Resolved]) -> Vec<String> {
    let pairs = uses(config).zip(resolved);
    pairs
        .filter_map(|(_, one)| one.as_ref().err().cloned())
        .collect()
}

fn settings(config: &Config) -> Settings {
    Settings {
        limits: config.limits,
        connections_per_worker: config.limits.connections.div_ceil(config.workers.max(1)),
        surplus_per_worker: surplus(config.limits.connections).div_ceil(config.workers.max(1)),
        overload: config.overload,
        client_timeouts: config.client_timeouts,
        trusted_addresses: config.trusted_addresses.clone(),
        upstream_allow: config.upstream_allow.clone(),
        via: via(config),
        merge_slashes: config.merge_slashes,
        client_headers: config.client_headers.clone(),
    }
}

/// How many connections beyond the limit are let in to be told to come again: enough for those who come while others are
/// being told, and few beside those that are served.
fn surplus(connections: usize) -> usize {
    const LEAST: usize = 16;
    (connections / 16).max(LEAST)
}

/// What the gateway adds to `Via`.
pub(super) fn via(config: &Config) -> Option<HeaderValue> {
    let name = config.via.as_ref()?;
    HeaderValue::from_str(&format!("1.1 {name}")).ok()
}

fn service(service: &crate::config::ready::Service) -> Service {
    Service {
        name: Arc::clone(&service.name),
        upstream: service.upstream,
    }
}

fn named(services: &[crate::config::ready::Service]) -> HashMap<Arc<str>, usize> {
    let services = services.iter().enumerate();
    services
        .map(|(at, service)| (Arc::clone(&service.name), at))
        .collect()
}
