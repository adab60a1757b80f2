//! Many connections at once, and more than are admitted.

use swapgate_tests::gateway::Builder;
use swapgate_tests::{Client, Gate, Gateway, Upstream, eventually};

fn before(upstream: &Upstream, settings: &str) -> Builder {
    Gateway::with(&format!(
        "\
{settings}
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: s, upstream: up}}]
routes: [{{name: all, service: s}}]
"
    ))
    .set("up", upstream.address())
}

fn held(gate: &Gate) -> Upstream {
    let gate = gate.clone();
    Upstream::answering(move |request| {
        gate.pass();
        request.to_answer()
    })
}

/// Everybody asks before anybody is answered, and gets the answer to the own request.
#[test]
fn many_connections_over_both_workers() {
    let gate = Gate::new();
    let upstream = held(&gate);
    let gateway = before(&upstream, "workers: 2").start();
    let mut clients: Vec<Client> = (0..120).map(|_| gateway.client()).collect();
    for round in 0..3 {
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(format!(
                "GET /{round}/{number} HTTP/1.1\r\nHost: a.test\r\n\r\n"
            ));
        }
        if round == 0 {
            upstream.wait_for_requests(120);
            gate.open();
        }
        for (number, client) in clients.iter_mut().enumerate() {
            let answer = client.expect_response();
            assert_eq!(answer.json()["target"], format!("/{round}/{number}"));
        }
    }
    assert_eq!(upstream.requests().len(), 360);
    assert!(upstream.connections() <= 240, "{}", upstream.connections());
}

#[test]
fn the_limit_of_connections_holds_and_lets_go() {
    for settings in [
        "workers: 1\nlimits: {connections: 4}",
        "workers: 2\nlimits: {connections: 4}",
    ] {
        let gate = Gate::new();
        let upstream = held(&gate);
        let gateway = before(&upstream, settings).start();
        let mut clients: Vec<Client> = (0..20).map(|_| gateway.client()).collect();
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        }
        // How the system spreads them over two workers is its own affair; one worker admits half of them.
        upstream.wait_for_requests(2);
        for _ in 0..20 {
            assert_eq!(
                gateway.admin("/healthz").status,
                200,
                "admin has room of its own"
            );
        }
        assert!(
            upstream.requests().len() <= 4,
            "{settings}: {}",
            upstream.requests().len()
        );
        gate.open();
        // Each is served in the end, or told at once to come again.
        let threads: Vec<_> = clients
            .into_iter()
            .map(|mut client| std::thread::spawn(move || client.expect_response().status))
            .collect();
        let statuses = threads.into_iter().map(|thread| thread.join().unwrap());
        let served = statuses
            .inspect(|status| assert!(matches!(status, 200 | 503), "{settings}: {status}"))
            .filter(|status| *status == 200)
            .count();
        assert_eq!(upstream.take_requests().len(), served);
        // Clients that vanish, at whatever point, give their room back.
        for round in 0..20 {
            let mut client = gateway.client();
            match round % 4 {
                0 => {}
                1 => drop(client.send("GET / HT")),
                2 => drop(client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")),
                _ => drop(
                    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\nx"),
                ),
            }
            client.reset();
        }
        eventually!(gateway.get("/").status == 200);
        let mut inside: Vec<Client> = Vec::new();
        for _ in 0..2 {
            let mut client = gateway.client();
            assert_eq!(client.get("/").status, 200);
            inside.push(client);
        }
    }
}
