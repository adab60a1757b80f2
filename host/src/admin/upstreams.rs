//! `/upstreams`: every target, whether it is used, and why not.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Admin;
use crate::admission::{Fuse, Limit};
use crate::config::ready::Algorithm;
use crate::endpoint::Endpoint;
use crate::health::clock::{millis, now_ms, unix_ms};
use crate::health::{LastCheck, TargetHealth};
use crate::snapshot::{Target, Upstream};

/// Targets that left the configuration while a generation has them still, by their upstream.
type Leaving = BTreeMap<Arc<str>, Vec<(Endpoint, Arc<TargetHealth>)>>;

/// The whole document.
pub(super) fn document(admin: &Admin) -> Value {
    let serving = admin.board.read(|status| status.upstreams.clone());
    let mut leaving = Leaving::new();
    let health = &admin.metrics.health;
    health.each(|upstream, target, health| {
        if health.is_removed() {
            let list = leaving.entry(Arc::clone(upstream)).or_default();
            list.push((target.clone(), Arc::clone(health)));
        }
    });
    let mut upstreams: Vec<Value> = serving
        .iter()
        .map(|one| upstream(one, &leaving.remove(&one.name).unwrap_or_default()))
        .collect();
    // What is left is of upstreams that are not there any more.
    upstreams.extend(leaving.into_iter().map(|(name, targets)| {
        let targets: Vec<Value> = targets.iter().map(left).collect();
        json!({ "name": &*name, "algorithm": null, "targets": targets })
    }));
    json!({ "upstreams": upstreams })
}

fn upstream(upstream: &Upstream, leaving: &[(Endpoint, Arc<TargetHealth>)]) -> Value {
    let targets = upstream.targets.iter().map(target);
    let targets: Vec<Value> = targets.chain(leaving.iter().map(left)).collect();
    json!({
        "name": &*upstream.name,
        "algorithm": algorithm(upstream.balance.algorithm),
        "targets": targets,
        "breaker": upstream.fuse.as_ref().map(breaker),
        "concurrency": upstream.limit.as_ref().map(concurrency),
    })
}

fn breaker(fuse: &Fuse) -> Value {
    let figures = fuse.breaker.figures(now_ms());
    json!({
        "state": figures.state,
        "left_ms": figures.left.map(millis),
        "requests": figures.sums.requests,
        "failures": figures.sums.failures,
        "refused": figures.refused,
    })
}

fn concurrency(limit: &Limit) -> Value {
    let figures = limit.gate.figures();
    json!({
        "in_flight": figures.in_flight,
        "waiting": figures.waiting,
        "requests": figures.limit,
        "refused_full": figures.full,
        "refused_late": figures.late,
    })
}

fn target(target: &Target) -> Value {
    standing(&target.address, &target.account.health, Some(target))
}

fn left((address, health): &(Endpoint, Arc<TargetHealth>)) -> Value {
    standing(address, health, None)
}

/// How a target stands; one that was left has no settings any more.
fn standing(address: &Endpoint, health: &TargetHealth, target: Option<&Target>) -> Value {
    let (standing, last) = health.standing();
    json!({
        "address": address.to_string(),
        "state": standing.state,
        "reason": standing.reason,
        "since_unix_ms": unix_ms(standing.since_ms.unwrap_or_else(|| health.since_ms())),
        "until_unix_ms": standing.until_ms.map(unix_ms),
        "ejections": health.ejections(),
        "last_check": last.as_ref().map(check),
        "name": target.and_then(|target| target.name.as_deref()),
        "weight": target.map(|target| target.weight),
        "priority": target.map(|target| target.priority),
    })
}

fn check(last: &LastCheck) -> Value {
    json!({
        "at_unix_ms": unix_ms(last.at_ms),
        "took_ms": millis(last.took),
        "ok": last.error.is_none(),
        "error": last.error,
    })
}

/// An algorithm as the configuration names it.
fn algorithm(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::RoundRobin => "round-robin",
        Algorithm::LeastRequests => "least-requests",
        Algorithm::P2cEwma => "p2c-ewma",
        Algorithm::ConsistentHash => "consistent-hash",
        Algorithm::Random => "random",
    }
}
