//! The gateway's own figures after known requests.

use swapgate_tests::{Client, Gateway, eventually};

use crate::{TWO, ok};

fn requests(route: &str, status: &str) -> String {
    let service = if route.is_empty() { "" } else { "up" };
    format!(
        "swapgate_requests_total{{route=\"{route}\",service=\"{service}\",status=\"{status}\"}}"
    )
}

fn of_route(name: &str, route: &str) -> String {
    format!("{name}{{route=\"{route}\",service=\"up\"}}")
}

#[test]
fn requests_bytes_and_attempts_are_exact() {
    let upstream = ok();
    let gateway = Gateway::with(TWO).set("up", upstream.address()).start();
    let mut client = gateway.client();
    for _ in 0..5 {
        assert_eq!(client.get("/users").status, 200);
    }
    client.send("POST /orders HTTP/1.1\r\nHost: test\r\nContent-Length: 7\r\n\r\n1234567");
    assert_eq!(client.expect_response().status, 200);
    assert_eq!(client.get("/orders").status, 405);
    assert_eq!(client.get("/nowhere").status, 404);

    gateway.wait_for_metric(&requests("users", "200"), 5.0);
    gateway.wait_for_metric(&requests("orders", "200"), 1.0);
    gateway.wait_for_metric(&requests("", "404"), 1.0);
    gateway.wait_for_metric(&requests("", "405"), 1.0);
    let scrape = gateway.metrics();
    let value = |series: &str| scrape.value(series);
    assert_eq!(
        value(&of_route("swapgate_response_bytes_total", "users")),
        Some(10.0)
    );
    assert_eq!(
        value(&of_route("swapgate_request_bytes_total", "users")),
        Some(0.0)
    );
    assert_eq!(
        value(&of_route("swapgate_request_bytes_total", "orders")),
        Some(7.0)
    );
    assert_eq!(
        value(&of_route(
            "swapgate_request_duration_seconds_count",
            "users"
        )),
        Some(5.0)
    );
    assert!(value(&of_route("swapgate_request_duration_seconds_sum", "users")) > Some(0.0));
    let last =
        "swapgate_request_duration_seconds_bucket{route=\"users\",service=\"up\",le=\"+Inf\"}";
    assert_eq!(value(last), Some(5.0));

    let target = upstream.address();
    let attempts = |outcome: &str| {
        let labels = format!("upstream=\"up\",target=\"{target}\",outcome=\"{outcome}\"");
        value(&format!("swapgate_upstream_attempts_total{{{labels}}}"))
    };
    assert_eq!(attempts("ok"), Some(6.0));
    assert_eq!(attempts("connect_error"), None, "{}", scrape.text);
    assert_eq!(
        value(&format!(
            "swapgate_upstream_connects_total{{target=\"{target}\"}}"
        )),
        Some(1.0)
    );
    assert_eq!(
        value("swapgate_connections_accepted_total{listener=\"public\"}"),
        Some(1.0)
    );
    assert_eq!(
        value("swapgate_connections{listener=\"public\"}"),
        Some(1.0)
    );
    drop(client);
    gateway.wait_for_metric("swapgate_connections{listener=\"public\"}", 0.0);
}

#[test]
fn what_went_wrong_is_told_apart() {
    // Nothing listens on port 1 of the loopback interface.
    let gateway = Gateway::with(TWO).set("up", "127.0.0.1:1").start();
    assert_eq!(gateway.get("/users").status, 502);
    gateway.wait_for_metric(&requests("users", "502"), 1.0);
    let failed = "swapgate_upstream_attempts_total{upstream=\"up\",target=\"127.0.0.1:1\",outcome=\"connect_error\"}";
    assert_eq!(gateway.metrics().value(failed), Some(1.0));
}

#[test]
fn a_client_that_leaves_before_its_answer_is_counted() {
    let gate = swapgate_tests::Gate::default();
    let held = gate.clone();
    let upstream = swapgate_tests::Upstream::start(move |conversation| {
        conversation.receive()?;
        held.pass();
        Ok(())
    });
    let gateway = Gateway::with(TWO).set("up", upstream.address()).start();
    let mut client = gateway.client();
    client.send("GET /users HTTP/1.1\r\nHost: test\r\n\r\n");
    upstream.wait_for_requests(1);
    client.reset();
    gateway.wait_for_metric(&requests("users", "none"), 1.0);
    let target = upstream.address();
    let cancelled = format!(
        "swapgate_upstream_attempts_total{{upstream=\"up\",target=\"{target}\",outcome=\"cancelled\"}}"
    );
    gateway.wait_for_metric(&cancelled, 1.0);
    gate.open();
}

#[test]
fn counts_survive_a_reload_and_routes_that_are_gone_go() {
    let upstream = ok();
    let gateway = Gateway::with(TWO).set("up", upstream.address()).start();
    for _ in 0..3 {
        assert_eq!(gateway.get("/users").status, 200);
    }
    gateway.wait_for_metric(&requests("users", "200"), 3.0);
    gateway.reload_published(&TWO.replace("name: orders", "name: bills"));
    assert_eq!(gateway.get("/users").status, 200);
    gateway.wait_for_metric(&requests("users", "200"), 4.0);
    let scrape = gateway.metrics();
    let change = |trigger: &str, outcome: &str| {
        scrape.value(&format!(
            "swapgate_changes_total{{trigger=\"{trigger}\",outcome=\"{outcome}\"}}"
        ))
    };
    assert_eq!(change("start", "published"), Some(1.0));
    assert_eq!(change("reload", "published"), Some(1.0));
    assert_eq!(change("reload", "refused"), None);
    assert_eq!(scrape.value("swapgate_generation"), Some(2.0));
    let _ = gateway.reload_refused("routes: 7\n");
    gateway.wait_for_metric(
        "swapgate_changes_total{trigger=\"reload\",outcome=\"refused\"}",
        1.0,
    );

    gateway.reload_published(&TWO.replace("name: users", "name: people"));
    // An account goes once no exchange, connection or worker holds its generation, after it was shown once more.
    eventually!(!gateway.metrics().text.contains("route=\"users\""));
}

#[test]
fn routes_beyond_the_limit_share_their_series() {
    let upstream = ok();
    let text = format!("{TWO}metrics: {{max_routes: 1}}\n");
    let gateway = Gateway::with(&text).set("up", upstream.address()).start();
    let mut client = gateway.client();
    assert_eq!(client.get("/users").status, 200);
    for _ in 0..2 {
        client.send("POST /orders HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(client.expect_response().status, 200);
    }
    gateway.wait_for_metric(&requests("users", "200"), 1.0);
    gateway.wait_for_metric(
        "swapgate_requests_total{route=\"(other)\",service=\"(other)\",status=\"200\"}",
        2.0,
    );
    assert!(!gateway.metrics().text.contains("route=\"orders\""));
}

#[test]
fn the_page_has_the_same_rule_of_the_token_as_the_others() {
    let text = "\
format: 1
listeners: [{name: public, address: \"127.0.0.1:0\"}]
admin: {address: \"127.0.0.1:0\", token: let-me-in}
";
    let gateway = Gateway::with_whole(text).start();
    assert_eq!(gateway.admin("/metrics").status, 401);
    let mut client = Client::connect(gateway.admin_address());
    client.send("GET /metrics HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer let-me-in\r\n\r\n");
    let answer = client.expect_response();
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type").as_deref(),
        Some("text/plain; version=0.0.4")
    );
    let text = answer.text();
    for name in [
        "swapgate_build_info{version=\"0.1.0\",abi=\"",
        "process_resident_memory_bytes ",
        "process_open_fds ",
        "process_start_time_seconds ",
        "swapgate_generations_draining 0",
        "swapgate_stuck_calls 0",
    ] {
        assert!(
            text.contains(&format!("\n{name}")),
            "{name} is not in {text}"
        );
    }
}
