//! Targets in turn, by weight.

use swapgate_tests::{Client, Gateway, Upstream};

fn before(workers: usize, weights: (u32, u32), targets: (&Upstream, &Upstream)) -> Gateway {
    Gateway::with(&format!(
        "\
workers: {workers}
upstreams: [{{name: up, targets: [{{address: \"@a@\", weight: {}}}, {{address: \"@b@\", weight: {}}}]}}]
services: [{{name: s, upstream: up}}]
routes: [{{name: all, service: s}}]
",
        weights.0, weights.1
    ))
    .set("a", targets.0.address())
    .set("b", targets.1.address())
    .start()
}

#[test]
fn by_weight_exactly() {
    for (weights, shares) in [
        ((1, 1), (15, 15)),
        ((2, 1), (20, 10)),
        ((1, 4), (6, 24)),
        ((29, 1), (29, 1)),
    ] {
        let (a, b) = (Upstream::echo(), Upstream::echo());
        let gateway = before(1, weights, (&a, &b));
        for _ in 0..30 {
            assert_eq!(gateway.get("/").status, 200);
        }
        assert_eq!(
            (a.requests().len(), b.requests().len()),
            shares,
            "{weights:?}"
        );
        assert_eq!(
            (a.connections(), b.connections()),
            (1, 1),
            "connections are kept"
        );
    }
}

/// Each worker keeps the shares; over both of them they differ by less than one turn.
#[test]
fn by_weight_over_both_workers() {
    let (a, b) = (Upstream::echo(), Upstream::echo());
    let gateway = before(2, (2, 1), (&a, &b));
    let mut clients: Vec<Client> = (0..30).map(|_| gateway.client()).collect();
    for client in &mut clients {
        for _ in 0..10 {
            assert_eq!(client.get("/").status, 200);
        }
    }
    let shares = (a.requests().len(), b.requests().len());
    assert_eq!(shares.0 + shares.1, 300);
    assert!((199..=202).contains(&shares.0), "{shares:?}");
}
