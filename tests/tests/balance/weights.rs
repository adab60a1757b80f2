//! Shares by weight.

use swapgate_tests::Gateway;

use super::{counts, targets, text};

fn weighted(algorithm: &str) -> (Vec<super::Target>, Gateway) {
    let targets = targets(2);
    let entries = format!(
        "{{address: \"{}\", weight: 3}}, {{address: \"{}\"}}",
        targets[0].address(),
        targets[1].address()
    );
    let gateway = Gateway::with(&text(&format!("algorithm: {algorithm}"), &entries)).start();
    (targets, gateway)
}

#[test]
fn turns_are_exact_within_the_number_of_workers() {
    let (_targets, gateway) = weighted("round-robin");
    let counts = counts(gateway.address(), 4000);
    assert!(counts[&0].abs_diff(3000) <= 2, "{counts:?}");
    assert_eq!(counts.values().sum::<usize>(), 4000);
}

#[test]
fn lots_are_about_right() {
    let (_targets, gateway) = weighted("random");
    let counts = counts(gateway.address(), 2000);
    // Ten times the standard deviation.
    assert!(counts[&0].abs_diff(1500) <= 194, "{counts:?}");
}

#[test]
fn turns_go_on_where_they_were_after_a_reload() {
    let targets = targets(3);
    let entries = super::entries(&targets);
    let one = text("algorithm: round-robin", &entries).replace("workers: 2", "workers: 1");
    let gateway = Gateway::with(&one).start();
    let mut client = gateway.client();
    let mut order = Vec::new();
    for timeout in 1..=6 {
        order.push(super::target_of(&client.get("/")));
        let route = format!("{{name: all, service: up, timeouts: {{response: {timeout}s}}}}");
        gateway.reload_published(&one.replace("{name: all, service: up}", &route));
    }
    assert_eq!(order, [0, 1, 2, 0, 1, 2]);
}
