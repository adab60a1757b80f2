//! Routes: what the router needs to know of them, and what becomes of their requests.

use std::sync::Arc;

use crate::admission::Limit;
use crate::config::ready::{Action, Concurrency, Config};
use crate::counted::Metrics;
use crate::mark;
use crate::metrics::mirror::Mirrored;
use crate::metrics::route::Account;
use crate::router::table::RouteRule;
use crate::snapshot::{Plan, Route};

/// The routes with their plans, in their order.
pub(super) fn routes(config: &Config, plans: Vec<Plan>, metrics: &Metrics) -> Vec<Route> {
    let parts = config.routes.iter().zip(plans);
    let parts = parts.zip(accounts(config, metrics));
    let routes = parts.map(|((route, plan), account)| Route {
        name: Arc::clone(&route.name),
        mark: mark::route(&route.name),
        action: route.action.clone(),
        body_bytes: route.body_bytes.unwrap_or(config.limits.body_bytes),
        plan,
        account,
        limit: Limit::of(
            &metrics.admission.routes,
            &route.name,
            concurrency(&route.action),
        ),
        mirrored: mirrored(config, &route.action, metrics),
    });
    routes.collect()
}

/// What the router needs to know of the routes, in their order.
pub(in crate::control) fn rules(config: &Config) -> Vec<RouteRule> {
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

/// How many requests a route forwards at once.
fn concurrency(action: &Action) -> Option<Concurrency> {
    match action {
        Action::Forward(forward) => forward.concurrency,
        Action::Redirect(_) | Action::Respond(_) => None,
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
