//! From a configuration and its instances to a snapshot. What is counted and remembered of names comes from the shelves of
//! [`Metrics`], which make it where it is new, as of now; besides, nothing is read or changed.

use std::collections::HashMap;
use std::iter;
use std::sync::Arc;

use http::HeaderValue;

use super::resolve::{Resolved, uses};
use crate::admission::{Fuse, Limit};
use crate::chain::{Chain, Link};
use crate::config::ready::{Action, Concurrency, Config, PluginUse};
use crate::context::Phase;
use crate::discovery::Known;
use crate::discovery::known::Located;
use crate::endpoint::Endpoint;
use crate::health::clock;
use crate::mark;
use crate::metrics::Metrics;
use crate::metrics::mirror::Mirrored;
use crate::metrics::retries::Retried;
use crate::metrics::route::Account;
use crate::metrics::traffic::{Attempts, Connections};
use crate::router::table::{Misfit, RouteRule, Table};
use crate::snapshot::{
    Keep, Plan, Route, Service, Settings, Snapshot, Target, TargetAccount, Upstream, secured,
};
use crate::tls::Material;
use crate::upstream::balance::Ring;
use crate::upstream::manner::Manner;

/// What of a generation goes into the next one where only targets changed: making it anew costs time or forgets something.
#[derive(Clone)]
pub struct Reusable {
    table: Arc<Table>,
    upstreams: Vec<Arc<Upstream>>,
}

impl Reusable {
    /// What a configuration begins with: its routing table, made before anything is changed for it.
    ///
    /// # Errors
    /// The routes do not fit into one table.
    pub fn begin(config: &Config) -> Result<Self, Misfit> {
        Ok(Self {
            table: Arc::new(Table::build(&rules(config))?),
            upstreams: Vec::new(),
        })
    }

    /// The routing table without the upstreams, which are made anew.
    #[must_use]
    pub fn table(&self) -> Self {
        Self {
            table: Arc::clone(&self.table),
            upstreams: Vec::new(),
        }
    }

    /// That of a generation.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        Self {
            table: Arc::clone(&snapshot.table),
            upstreams: snapshot.upstreams.clone(),
        }
    }

    /// What another generation of the same configuration changes of it, in words.
    #[must_use]
    pub fn changes(&self, snapshot: &Snapshot) -> Vec<String> {
        let pairs = self.upstreams.iter().zip(&snapshot.upstreams);
        let changed = pairs.filter(|(old, new)| !Arc::ptr_eq(old, new));
        let words = |(old, new): (&Arc<Upstream>, &Arc<Upstream>)| {
            let name = &new.name;
            match (old.targets.len(), new.targets.len()) {
                (old, new) if old == new => format!("upstream {name} has other targets"),
                (old, new) => format!("upstream {name} has {new} targets in place of {old}"),
            }
        };
        changed.map(words).collect()
    }
}

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
    let mut left = resolved.iter();
    let global = attached(&config.plugins, &mut left);
    let services: Vec<_> = config
        .services
        .iter()
        .map(|service| attached(&service.plugins, &mut left))
        .collect();
    let accounts = accounts(config, metrics);
    let routes = config.routes.iter().zip(accounts).map(|(route, account)| {
        let own = attached(&route.plugins, &mut left);
        let service = route.service().and_then(|service| services.get(service));
        let service = service.map_or(&[][..], Vec::as_slice);
        Route {
            name: Arc::clone(&route.name),
            mark: mark::route(&route.name),
            action: route.action.clone(),
            body_bytes: route.body_bytes.unwrap_or(config.limits.body_bytes),
            // Where a plugin is attached in several ways, the narrower one wins (Kong's order of precedence).
            plan: plan(&[&own, service, &global]),
            account,
            limit: Limit::of(
                &metrics.admission.routes,
                &route.name,
                concurrency(&route.action),
            ),
            mirrored: mirrored(config, &route.action, metrics),
        }
    });
    let global_plan = plan(&[&global]);
    let rewrites = !global_plan.chain.of(Phase::Rewrite).is_empty();
    let routes = routes.map(|mut route| {
        if rewrites {
            // A global instance that ran in `rewrite` hears of the end although the route may have its own use of it.
            let keep = &mut route.plan.keep;
            keep.request |= global_plan.keep.request;
            keep.answer |= global_plan.keep.answer;
        }
        route
    });
    let routes: Vec<_> = routes.collect();
    let shared = routes.iter().enumerate();
    let upstreams = config.upstreams.iter();
    // Targets that come later than the process have to warm up, where that is wanted.
    let since_ms = if generation == 1 { 0 } else { clock::now_ms() };
    let upstreams: Vec<_> = upstreams
        .map(|one| upstream(one, (metrics, since_ms), material, known))
        .zip(before.upstreams.iter().map(Some).chain(iter::repeat(None)))
        .map(|(new, old)| {
            old.filter(|old| have_same_targets(old, &new))
                .map_or(Arc::new(new), Arc::clone)
        })
        .collect();
    Snapshot {
        generation,
        settings: settings(config),
        table: Arc::clone(&before.table),
        shared: shared
            .filter(|(_, route)| route.is_shared())
            .map(|(at, _)| at)
            .collect(),
        routes,
        services: config.services.iter().map(service).collect(),
        service_names: named(&config.services),
        elsewhere: elsewhere(metrics),
        secured: secured(&upstreams),
        upstreams,
        global: global_plan,
        account: Arc::clone(metrics.routes.unrouted()),
        admission: Arc::clone(&metrics.admission),
    }
}

/// How many requests a route forwards at once.
fn concurrency(action: &Action) -> Option<Concurrency> {
    match action {
        Action::Forward(forward) => forward.concurrency,
        Action::Redirect(_) | Action::Respond(_) => None,
    }
}

/// A use and what it got.
type Attached<'a> = (&'a PluginUse, &'a Resolved);

fn attached<'a>(
    list: &'a [PluginUse],
    left: &mut impl Iterator<Item = &'a Resolved>,
) -> Vec<Attached<'a>> {
    list.iter().zip(left).collect()
}

/// Attachments in their ways, the narrowest first. Each with the number of its way, and with that of the narrower way in
/// which the same plugin is attached: then it does not count.
pub(super) fn merged<'a, T>(
    ways: &[&'a [(&'a PluginUse, T)]],
) -> Vec<(usize, &'a (&'a PluginUse, T), Option<usize>)> {
    let mut taken: Vec<(&str, usize)> = Vec::new();
    let mut merged = Vec::new();
    for (way, list) in ways.iter().enumerate() {
        for attached in *list {
            let name = &*attached.0.name;
            let narrower = taken.iter().find(|(other, _)| *other == name);
            merged.push((way, attached, narrower.map(|(_, way)| *way)));
            if narrower.is_none() {
                taken.push((name, way));
            }
        }
    }
    merged
}

/// Merges attachments, the narrowest first, into one chain.
fn plan(ways: &[&[Attached<'_>]]) -> Plan {
    let mut links: Vec<Link> = Vec::new();
    let mut unavailable = None;
    for (_, (use_, resolved), narrower) in merged(ways) {
        if narrower.is_some() {
            continue;
        }
        match resolved {
            Ok(instance) => links.push(Link {
                instance: Arc::clone(instance),
                on_error: use_.on_error,
                priority: use_.priority.unwrap_or_else(|| instance.priority()),
            }),
            // Not even `on_error: open` serves without it: the plugin never had its say.
            Err(reason) => {
                unavailable.get_or_insert_with(|| reason.clone());
            }
        }
    }
    let chain = Chain::compile(links);
    let keep = Keep {
        request: chain.reads_request_later(),
        answer: chain.reads_answer_later(),
    };
    Plan {
        chain,
        unavailable,
        keep,
    }
}

/// What the router needs to know of the routes, in their order.
pub(super) fn rules(config: &Config) -> Vec<RouteRule> {
    let rule = |route: &crate::config::ready::Route| RouteRule {
        name: Arc::clone(&route.name),
        hosts: route.hosts.clone(),
        paths: route.paths.clone(),
        methods: route.methods.clone(),
        conditions: route.conditions.clone(),
        priority: route.priority,
        regex_priority: route.regex_priority,
    };
    config.routes.iter().map(rule).collect()
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

/// The account of the addresses that plugins choose: one for all, because there may be many.
fn elsewhere(metrics: &Metrics) -> TargetAccount {
    TargetAccount {
        health: Arc::default(),
        attempts: Arc::new(Attempts::new(metrics.workers)),
        retried: Arc::new(Retried::new(metrics.workers)),
        connections: Arc::new(Connections::new(metrics.workers)),
    }
}

/// Of each route the account in which it is counted.
fn accounts(config: &Config, metrics: &Metrics) -> Vec<Arc<Account>> {
    let none: Arc<str> = Arc::from("");
    let names = config.routes.iter().map(|route| {
        let service = route.service().and_then(|at| config.services.get(at));
        (&route.name, service.map_or(&none, |service| &service.name))
    });
    metrics.routes.of(names, config.metrics.max_routes)
}

/// The account of the upstream that gets copies of a route's requests.
fn mirrored(config: &Config, action: &Action, metrics: &Metrics) -> Option<Arc<Mirrored>> {
    let Action::Forward(forward) = action else {
        return None;
    };
    let upstream = config.upstreams.get(forward.mirror?.upstream)?;
    let accounts = &metrics.traffic.mirrored;
    Some(accounts.get(&upstream.name, || Mirrored::new(metrics.workers)))
}

fn upstream(
    upstream: &crate::config::ready::Upstream,
    counted: (&Metrics, u64),
    material: &Material,
    known: &Known,
) -> Upstream {
    let target = |target: Located| Target {
        account: account(&upstream.name, &target.address, counted),
        address: target.address,
        name: target.name,
        weight: target.weight,
        priority: target.priority,
    };
    let targets: Vec<_> = known
        .locate(&upstream.targets)
        .into_iter()
        .map(target)
        .collect();
    Upstream {
        name: Arc::clone(&upstream.name),
        balance: upstream.balance.clone(),
        manner: Manner {
            protocol: upstream.protocol,
            tls: material.upstream(&upstream.name).cloned(),
        },
        ring: Ring::of(&upstream.balance, &targets),
        targets,
        health: upstream.health.clone(),
        limit: Limit::of(
            &counted.0.admission.upstreams,
            &upstream.name,
            upstream.concurrency,
        ),
        fuse: Fuse::of(
            &counted.0.admission.breakers,
            &upstream.name,
            counted.0.workers,
            upstream.breaker.as_ref(),
        ),
    }
}

/// Whether two makings of one upstream differ in nothing.
fn have_same_targets(old: &Upstream, new: &Upstream) -> bool {
    let what = |target: &Target| (target.weight, target.priority, target.name.clone());
    let mut pairs = old.targets.iter().zip(&new.targets);
    old.targets.len() == new.targets.len()
        && pairs.all(|(old, new)| old.address == new.address && what(old) == what(new))
}

/// What is known of a target of an upstream, and counted; a new one comes into rotation then.
fn account(
    upstream: &Arc<str>,
    target: &Endpoint,
    (metrics, since_ms): (&Metrics, u64),
) -> TargetAccount {
    let traffic = &metrics.traffic;
    let key = (Arc::clone(upstream), target.clone());
    TargetAccount {
        health: traffic.health.target(upstream, target, since_ms),
        attempts: traffic
            .attempts
            .get(&key, || Attempts::new(metrics.workers)),
        retried: traffic
            .retried
            .get(upstream, || Retried::new(metrics.workers)),
        connections: traffic
            .targets
            .get(target, || Connections::new(metrics.workers)),
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
