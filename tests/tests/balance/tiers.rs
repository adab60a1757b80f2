//! Tiers and panic, with targets that say that they are not well.

use std::collections::BTreeSet;

use swapgate_tests::{Gateway, wait_until};

use super::{Target, counts, targets, text};

const CHECKS: &str =
    "health: {active: {path: /healthz, interval: 100ms, timeout: 5s, healthy: 1, unhealthy: 1}}";

fn gateway(targets: &[Target], tiers: &[u8], keys: &str) -> Gateway {
    let entry = |(target, tier): (&Target, &u8)| {
        format!("{{address: \"{}\", priority: {tier}}}", target.address())
    };
    let entries: Vec<_> = targets.iter().zip(tiers).map(entry).collect();
    Gateway::with(&text(&format!("{CHECKS}, {keys}"), &entries.join(", "))).start()
}

/// Waits until just these targets get requests.
#[track_caller]
fn wait_for_serving(gateway: &Gateway, expected: &[usize]) {
    let expected: BTreeSet<usize> = expected.iter().copied().collect();
    wait_until(&format!("{expected:?} to serve"), || {
        let counts = counts(gateway.address(), 40);
        counts.keys().copied().collect::<BTreeSet<_>>() == expected
    });
}

fn are_well(targets: &[Target], well: &[bool]) {
    for (target, well) in targets.iter().zip(well) {
        target.is_well(*well);
    }
}

#[test]
fn the_lowest_tier_with_a_target_in_rotation_serves() {
    let targets = targets(5);
    let gateway = gateway(&targets, &[0, 0, 1, 1, 2], "panic: 0");
    wait_for_serving(&gateway, &[0, 1]);
    are_well(&targets, &[true, false, true, true, true]);
    wait_for_serving(&gateway, &[0]);
    are_well(&targets, &[false, false, true, true, true]);
    wait_for_serving(&gateway, &[2, 3]);
    are_well(&targets, &[false, false, false, false, true]);
    wait_for_serving(&gateway, &[4]);
    // Where none is left, those of the lowest tier are as good as any.
    are_well(&targets, &[false; 5]);
    wait_for_serving(&gateway, &[0, 1]);
    are_well(&targets, &[true; 5]);
    wait_for_serving(&gateway, &[0, 1]);
    are_well(&targets, &[false, true, true, true, true]);
    wait_for_serving(&gateway, &[1]);
}

#[test]
fn with_too_few_in_rotation_a_tier_does_not_serve_and_then_all_do() {
    for algorithm in ["round-robin", "least-requests", "random"] {
        let targets = targets(6);
        let keys = format!("panic: 50, algorithm: {algorithm}");
        let gateway = gateway(&targets, &[0, 0, 0, 0, 1, 1], &keys);
        are_well(&targets, &[true, true, false, false, true, true]);
        wait_for_serving(&gateway, &[0, 1]);
        // One of four is too few, so that it does not get all the load: the next tier takes it.
        are_well(&targets, &[true, false, false, false, true, true]);
        wait_for_serving(&gateway, &[4, 5]);
        // There are too few everywhere: all of the lowest tier serve, well or not.
        are_well(&targets, &[true, false, false, false, false, false]);
        wait_for_serving(&gateway, &[0, 1, 2, 3]);
        are_well(&targets, &[true; 6]);
        wait_for_serving(&gateway, &[0, 1, 2, 3]);
        are_well(&targets, &[true, true, true, false, true, true]);
        wait_for_serving(&gateway, &[0, 1, 2]);
    }
}
