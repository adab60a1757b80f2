//! What the cases of this folder have in common.

use serde_json::Value;
use swapgate_tests::gateway::Builder;
use swapgate_tests::{Gateway, wait_for};

/// Checks that need no patience.
pub(crate) const SOON: &str = "interval: 50ms, timeout: 10s, healthy: 2, unhealthy: 2";

/// A gateway with one worker and one route for everything to the upstream `up`: its manner and health as they are given, and
/// so many targets, `@0@`, `@1@` and so on.
pub(crate) fn before(keys: &str, targets: usize) -> Builder {
    Gateway::with(&text(keys, targets))
}

/// Its configuration. Targets have as long for an answer as a busy machine may need.
pub(crate) fn text(keys: &str, targets: usize) -> String {
    let targets: Vec<String> = (0..targets)
        .map(|at| format!("{{address: \"@{at}@\"}}"))
        .collect();
    let targets = targets.join(", ");
    format!(
        "workers: 1
upstreams: [{{name: up, targets: [{targets}], {keys}}}]
services: [{{name: up, upstream: up, timeouts: {{connect: 60s, response: 60s}}}}]
routes: [{{name: all, service: up}}]
"
    )
}

/// What `/upstreams` says of a target of `up`; none: it is not there.
pub(crate) fn target(gateway: &Gateway, address: &str) -> Option<Value> {
    let document = gateway.admin("/upstreams").json();
    let upstreams = document["upstreams"].as_array().expect("a list").clone();
    let mut targets = upstreams
        .iter()
        .flat_map(|upstream| upstream["targets"].as_array().expect("a list"));
    targets.find(|one| one["address"] == address).cloned()
}

/// Waits until a target is in this state, and gives back what is said of it.
#[track_caller]
pub(crate) fn wait_for_state(gateway: &Gateway, address: &str, state: &str) -> Value {
    wait_for(&format!("{address} to be {state}"), || {
        target(gateway, address).filter(|one| one["state"] == state)
    })
}

/// Waits until it was checked after the check that `before` tells of, and gives back what is said of it.
#[track_caller]
pub(crate) fn wait_for_check_after(gateway: &Gateway, address: &str, before: &Value) -> Value {
    let last = |one: &Value| one["last_check"]["at_unix_ms"].as_u64();
    wait_for("another check", || {
        target(gateway, address).filter(|one| last(one) > last(before))
    })
}

/// Waits until the reason why a target is out has this in it.
#[track_caller]
pub(crate) fn wait_for_reason(
    gateway: &Gateway,
    address: &str,
    state: &str,
    reason: &str,
) -> Value {
    wait_for(
        &format!("{address} to be {state} because of `{reason}`"),
        || {
            target(gateway, address).filter(|one| {
                let said = one["reason"].as_str();
                one["state"] == state && said.is_some_and(|said| said.contains(reason))
            })
        },
    )
}

/// The series of a target of `up`.
pub(crate) fn series(name: &str, address: &str, more: &str) -> String {
    format!("{name}{{upstream=\"up\",target=\"{address}\"{more}}}")
}
