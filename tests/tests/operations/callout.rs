//! Operations that a hook of an exchange waits for.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use swapgate_tests::{Client, Dns, Gateway, Upstream, wait_until};

use crate::world::{ask, config, number, prepared, probe};

fn started(settings: &str, upstream: &Upstream) -> Gateway {
    prepared(settings, &[], upstream).start()
}

/// A service that answers by the path it is asked for.
fn service() -> Upstream {
    Upstream::answering(|request| {
        let line = request.line();
        let body = match line.split(' ').nth(1) {
            Some("/denied") => return b"HTTP/1.1 401 No\r\ncontent-length: 4\r\n\r\nwhat".to_vec(),
            Some("/moved") => {
                return b"HTTP/1.1 302 Found\r\nlocation: /ok\r\ncontent-length: 0\r\n\r\n"
                    .to_vec();
            }
            Some("/chunks") => {
                return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
                    .to_vec();
            }
            Some("/both") => {
                return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n"
                    .to_vec();
            }
            // Nothing at all: the plugin's limit on time ends it.
            Some("/silent") => return Vec::new(),
            Some("/large") => "x".repeat(5000),
            _ => line,
        };
        format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    })
}

#[track_caller]
fn called(gateway: &Gateway, path: &str, more: &[(&str, &str)]) -> String {
    let mut lines = vec![("x-service", "auth"), ("x-url", path)];
    lines.extend_from_slice(more);
    ask(gateway, "/call", &lines).text()
}

#[test]
fn a_service_is_asked_where_a_name_leads() {
    let upstream = service();
    let dns = Dns::start(&[("auth.test", "127.0.0.1")]);
    let settings = format!(
        "workers: 1\ndns: {{servers: [\"{}\"], max_ttl: 1s}}",
        dns.address()
    );
    let target = format!("auth.test:{}", upstream.address().port());
    let gateway = Gateway::with(&config(&settings, &[]))
        .set("up", &*target)
        .plugin_bytes("libprobe.so", &probe("1.0.0"))
        .start();
    assert_eq!(called(&gateway, "/ok", &[]), "200 GET /ok HTTP/1.1");
    let asked = upstream.take_requests();
    assert_eq!(asked[0].headers.get("host"), Some(target));
}

#[test]
fn a_service_is_asked_and_its_answer_is_told_whole() {
    let upstream = service();
    let gateway = started("workers: 1", &upstream);
    assert_eq!(called(&gateway, "/ok?a=b", &[]), "200 GET /ok?a=b HTTP/1.1");
    assert_eq!(called(&gateway, "/denied", &[]), "401 what");
    assert_eq!(called(&gateway, "/chunks", &[]), "200 abcde");
    // Redirects are the plugin's to follow.
    assert_eq!(called(&gateway, "/moved", &[]), "302 ");
    let posted = called(
        &gateway,
        "/ok",
        &[("x-method", "POST"), ("x-body", "hello")],
    );
    assert_eq!(posted, "200 POST /ok HTTP/1.1");
    let requests = upstream.requests();
    let last = requests.last().expect("it came");
    assert_eq!(last.body, b"hello");
    assert_eq!(last.headers.get("x-asked-by").as_deref(), Some("probe"));
    assert_eq!(
        last.headers.get("host"),
        Some(upstream.address().to_string())
    );
    // One worker, one connection, used again and again.
    assert_eq!(upstream.connections(), 1);
    assert_eq!(called(&gateway, "/both", &[]), "result -9");
    upstream.close_connections();
    assert_eq!(called(&gateway, "/denied", &[]), "401 what");
}

#[test]
fn limits_hold_and_end_the_connection() {
    let upstream = service();
    let gateway = started("workers: 1", &upstream);
    assert_eq!(
        called(&gateway, "/silent", &[("x-timeout", "50")]),
        "result -13"
    );
    assert_eq!(
        called(&gateway, "/large", &[("x-max-body", "4999")]),
        "result -8"
    );
    wait_until("both connections to close", || {
        upstream.open_connections() == 0
    });
    let whole = called(&gateway, "/large", &[("x-max-body", "5000")]);
    assert!(whole.starts_with("200 xxx"), "{whole}");
}

#[test]
fn a_client_that_goes_away_ends_its_callout() {
    let upstream = service();
    let gateway = started("workers: 1", &upstream);
    let mut client = gateway.client();
    client.send("GET /call HTTP/1.1\r\nHost: test\r\nx-service: auth\r\nx-url: /silent\r\nx-timeout: 600000\r\n\r\n");
    upstream.wait_for_requests(1);
    client.reset();
    wait_until("the connection to close", || {
        upstream.open_connections() == 0
    });
}

#[test]
fn addresses_must_stand_on_the_list() {
    let upstream = service();
    let port = upstream.address().port();
    let settings =
        format!("callouts: {{allow: [\"http://127.0.0.1:{port}\", \"http://localhost:{port}\"]}}");
    let gateway = started(&settings, &upstream);
    let url = |url: &str| ask(&gateway, "/call", &[("x-url", url)]).text();
    assert_eq!(
        url(&format!("http://127.0.0.1:{port}/ok")),
        "200 GET /ok HTTP/1.1"
    );
    let named = format!("http://localhost:{port}");
    assert_eq!(url(&named), "200 GET / HTTP/1.1");
    let host = upstream.requests()[1].headers.get("host");
    assert_eq!(host, Some(format!("localhost:{port}")));
    for refused in [
        format!("https://127.0.0.1:{port}/"),
        format!("http://127.0.0.2:{port}/"),
        "http://127.0.0.1/".to_owned(),
        "http://example.com/".to_owned(),
    ] {
        assert_eq!(url(&refused), "refused -11", "{refused}");
    }
    for malformed in [
        "ftp://a/",
        "/path",
        "http://",
        &format!("http://u@127.0.0.1:{port}/"),
    ] {
        assert_eq!(url(malformed), "refused -3", "{malformed}");
    }
    // The list is taken from every reload.
    gateway.write_config(&crate::world::config("callouts: {allow: []}", &[]));
    wait_until("the list to be empty", || url(&named) == "refused -11");
}

#[track_caller]
fn threads(gateway: &Gateway) -> f64 {
    let threads = gateway.metrics().value("process_threads");
    threads.expect("the system says how many")
}

#[test]
fn a_thousand_requests_wait_at_once_on_one_worker() {
    const MANY: usize = 1000;
    // Clients and the service are of this process, and the gateway inherits the limit.
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("up to the hard limit");
    let all = Arc::new(Barrier::new(MANY));
    let gate = Arc::clone(&all);
    // Nobody is answered before everybody has asked.
    let upstream = Upstream::answering(move |_| {
        gate.wait();
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec()
    });
    let gateway = started("workers: 1", &upstream);
    let before = threads(&gateway);
    let mut clients: Vec<Client> = (0..MANY).map(|_| gateway.client()).collect();
    for client in &mut clients {
        client.send(
            "GET /call HTTP/1.1\r\nHost: test\r\nx-service: auth\r\nx-timeout: 60000\r\n\r\n",
        );
    }
    for client in &mut clients {
        assert_eq!(client.expect_response().text(), "200 ok");
    }
    // No thread for any of them; a few may have come for control's own work.
    let more = threads(&gateway) - before;
    assert!(more < 8.0, "{more} more threads");
}

#[test]
fn nobody_there_is_told_soon() {
    let upstream = service();
    let gateway = started("", &upstream);
    assert_eq!(called(&gateway, "/ok", &[]), "200 GET /ok HTTP/1.1");
    drop(upstream);
    let started = std::time::Instant::now();
    assert_eq!(called(&gateway, "/ok", &[]), "result -9");
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn names_are_found_and_functions_run_elsewhere() {
    let upstream = service();
    let gateway = started("", &upstream);
    let found = gateway.get("/resolve?localhost").text();
    assert!(found == "127.0.0.1" || found == "::1", "{found}");
    assert_eq!(
        gateway
            .get("/resolve?nowhere.invalid")
            .text()
            .split(' ')
            .next(),
        Some("result")
    );
    for _ in 0..20 {
        assert_eq!(gateway.get("/work").text(), "2 500500");
    }
    wait_until("the end of all", || number(&gateway, "work:released") == 20);
}

#[test]
fn a_function_that_runs_keeps_its_image_whoever_goes_away() {
    let upstream = service();
    let gateway = started("workers: 1", &upstream);
    let mut client = gateway.client();
    client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    wait_until("the function", || number(&gateway, "slow:begun") == 1);
    client.reset();
    let before = gateway.generation();
    gateway.plugins().rename(&probe("1.1.0"), "libprobe.so");
    // What is shown of images follows once every worker serves the new one.
    gateway.wait_for_generation_after(before);
    assert!(gateway.get("/add?other").text().ends_with("1.1.0"));
    wait_until("the end of the old instance", || {
        number(&gateway, ":destroyed") == 1
    });
    let old = || {
        let view = gateway.plugins_view();
        let images = view["images"].as_array().cloned().unwrap_or_default();
        let old = images.into_iter().find(|image| image["version"] == "1.0.0");
        old.map(|image| image["state"].as_str().unwrap_or_default().to_owned())
    };
    // Its code is being run.
    assert_eq!(old().as_deref(), Some("draining"));
    assert_eq!(number(&gateway, "work:released"), 0);
    assert_eq!(gateway.get("/add?gate").status, 200);
    wait_until("the old image to go", || {
        old().is_none_or(|state| state == "unloaded" || state == "resident")
    });
    assert_eq!(number(&gateway, "slow:over"), 1);
    assert_eq!(number(&gateway, "work:released"), 1);
}
