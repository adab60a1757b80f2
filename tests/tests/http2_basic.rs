//! HTTP/2 towards clients: requests, bodies both ways, and the end. Frames have tests of their own.

use std::io::Write as _;

use swapgate_tests::gateway::Builder;
use swapgate_tests::h2::Connection;
use swapgate_tests::h2::connection::get;
use swapgate_tests::{Curl, Gate, Gateway, Upstream};

const ECHO: &str = "\
workers: 1
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: up, upstream: up}]
routes: [{name: all, service: up, preserve_host: true}]
";

fn before(upstream: &Upstream) -> Builder {
    Gateway::with(ECHO).set("up", upstream.address())
}

fn h2c(arguments: &[&str], gateway: &Gateway, path: &str) -> Curl {
    Curl::with(arguments)
        .argument("--http2-prior-knowledge")
        .argument(format!("http://{}{path}", gateway.address()))
}

#[test]
fn both_versions_are_told_apart_on_one_port() {
    let upstream = Upstream::echo();
    let gateway = before(&upstream).start();
    let answer = h2c(&[], &gateway, "/two?x=1").success();
    assert_eq!((answer.version(), answer.status()), ("2", 200));
    let one = Curl::with(&["--http1.1"]).argument(format!("http://{}/one", gateway.address()));
    let one = one.success();
    assert_eq!((one.version(), one.status()), ("1.1", 200));
    let seen: Vec<_> = upstream
        .requests()
        .iter()
        .map(swapgate_tests::Received::line)
        .collect();
    assert_eq!(seen, ["GET /two?x=1 HTTP/1.1", "GET /one HTTP/1.1"]);
    let host = upstream.requests().swap_remove(0).headers.all("host");
    assert_eq!(host, [gateway.address().to_string()]);
}

#[test]
fn a_body_without_a_length_goes_out_in_chunks_and_cookies_in_one_piece() {
    let upstream = Upstream::echo();
    let gateway = before(&upstream).start();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&vec![b'x'; 300_000]).unwrap();
    let upload = ["-T", "-", "-H", "cookie: a=1", "-H", "cookie: b=2"];
    let path = file.path().display();
    let command = format!(
        "cat {path} | curl --silent --fail --noproxy '*' --http2-prior-knowledge -X POST {} http://{}/up >/dev/null",
        upload.map(|word| format!("'{word}'")).join(" "),
        gateway.address()
    );
    let status = std::process::Command::new("sh")
        .args(["-c", &command])
        .status();
    assert!(status.unwrap().success());
    let seen = upstream.take_requests().swap_remove(0);
    assert_eq!(
        seen.headers.get("transfer-encoding").as_deref(),
        Some("chunked")
    );
    assert_eq!(seen.headers.all("cookie"), ["a=1; b=2"]);
    assert_eq!(seen.body.len(), 300_000);
}

#[test]
fn an_answer_has_no_fields_of_the_connection() {
    let upstream = Upstream::fixed(
        "HTTP/1.1 200 OK\r\nconnection: x-a\r\nx-a: 1\r\nkeep-alive: timeout=5\r\ncontent-length: 2\r\n\r\nok",
    );
    let gateway = before(&upstream).start();
    let answer = h2c(&[], &gateway, "/").success();
    assert_eq!(answer.text(), "ok");
    for name in ["connection", "x-a", "keep-alive", "transfer-encoding"] {
        assert!(answer.values(name).is_empty(), "{answer:?}");
    }
    // An answer of the gateway that ends the connection in HTTP/1.1.
    let refused = h2c(&["-X", "OPTIONS", "-H", "expect: x"], &gateway, "/").run();
    assert_eq!(refused.status(), 417, "{refused:?}");
    assert!(refused.values("connection").is_empty());
}

#[test]
fn where_only_http2_is_spoken_http1_is_told() {
    let upstream = Upstream::echo();
    let text = format!(
        "format: 1\nlisteners: [{{name: public, address: \"127.0.0.1:0\", protocols: [h2]}}]\n\
admin: {{address: \"127.0.0.1:0\"}}\nplugins_dir: plugins.d\nstate_dir: state\n{ECHO}"
    );
    let gateway = Gateway::with_whole(&text)
        .set("up", upstream.address())
        .start();
    assert_eq!(h2c(&[], &gateway, "/").success().status(), 200);
    let one = Curl::with(&["--http1.1"]).argument(format!("http://{}/", gateway.address()));
    assert_eq!(one.run().status(), 505);
}

#[test]
fn a_running_stream_ends_well_when_the_gateway_drains() {
    let gate = Gate::default();
    let held = gate.clone();
    let upstream = Upstream::answering(move |request| {
        held.pass();
        request.to_answer()
    });
    let mut gateway = before(&upstream).start();
    let url = format!("http://{}/slow", gateway.address());
    let client =
        std::thread::spawn(move || Curl::with(&["--http2-prior-knowledge"]).argument(url).run());
    upstream.wait_for_requests(1);
    gateway.signal(rustix::process::Signal::TERM);
    gateway.wait_for_log("draining");
    gate.open();
    assert_eq!(client.join().unwrap().status(), 200);
    assert!(gateway.wait_for_end().success());
}

#[test]
fn a_late_upstream_is_told_on_its_own_stream() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::answering(move |request| {
        if request.target == "/slow" {
            held.pass();
        }
        request.to_answer()
    });
    let text = ECHO.replace("upstream: up}", "upstream: up, timeouts: {response: 1s}}");
    let gateway = Gateway::with(&text).set("up", upstream.address()).start();
    let mut connection = Connection::open(gateway.address());
    let slow = connection.ask(&get("/slow"), None);
    let fast = connection.ask(&get("/fast"), None);
    assert_eq!(connection.answer(fast).unwrap().status, 200);
    assert!(!connection.seen().is_over(slow));
    assert_eq!(connection.answer(slow).unwrap().status, 504);
    assert_eq!(connection.get("/again").unwrap().status, 200);
    gate.open();
}
