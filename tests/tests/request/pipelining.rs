//! Several requests in one piece, and what hides behind a request.

use swapgate_tests::{Gateway, Upstream};

use crate::corpus::Stage;

#[test]
fn answers_come_in_the_order_of_the_requests() {
    let stage = Stage::new();
    let mut client = stage.gateway.client();
    let requests: String = (0..10)
        .map(|number| match number % 2 {
            0 => format!("GET /{number} HTTP/1.1\r\nHost: a.test\r\n\r\n"),
            _ => format!("POST /{number} HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc"),
        })
        .collect();
    client.send(requests);
    for number in 0..10 {
        let answer = client.expect_response().json();
        assert_eq!(answer["target"], format!("/{number}"));
    }
    assert_eq!(stage.upstream.take_requests().len(), 10);
}

#[test]
fn after_a_refusal_nothing_is_served() {
    let stage = Stage::new();
    for bad in [
        "GET /bad HTTP/1.1\r\n\r\n",
        "GET /bad HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
        "POST /bad HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST /bad HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST /bad HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    ] {
        let mut client = stage.gateway.client();
        client.send(format!("{bad}GET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        let answer = client.expect_response();
        assert_eq!(answer.status, 400, "{bad}");
        client.expect_closed();
        assert_eq!(stage.upstream.take_requests(), [], "{bad}");
    }
}

#[test]
fn after_both_lengths_nothing_is_served() {
    let stage = Stage::new();
    let mut client = stage.gateway.client();
    client.send(
        "POST /first HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
         GET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n",
    );
    assert_eq!(client.expect_response().json()["target"], "/first");
    client.expect_closed();
    let requests = stage.upstream.take_requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
}

#[test]
fn garbage_behind_a_request_is_refused_on_its_own() {
    let stage = Stage::new();
    let mut client = stage.gateway.client();
    client.send(
        "POST /first HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc garbage\r\n\r\n",
    );
    assert_eq!(client.expect_response().json()["body"], "abc");
    assert_eq!(client.expect_response().status, 400);
    client.expect_closed();
    assert_eq!(stage.upstream.take_requests().len(), 1);
}

/// A body that looks like a request stays a body, however it is framed.
#[test]
fn a_request_within_a_body_is_not_served() {
    let stage = Stage::new();
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n";
    let (decimal, hexadecimal) = (hidden.len(), format!("{:X}", hidden.len()));
    for request in [
        format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {decimal}\r\n\r\n{hidden}"),
        format!("GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {decimal}\r\n\r\n{hidden}"),
        format!(
            "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n{hexadecimal}\r\n{hidden}\r\n0\r\n\r\n"
        ),
    ] {
        let answer = stage.gateway.client().send(&request).expect_response();
        assert_eq!(answer.json()["body"], hidden);
        let requests = stage.upstream.take_requests();
        assert_eq!(requests.len(), 1, "{request}");
        assert_eq!(requests[0].target, "/");
    }
}

/// A request, and the beginning of a large one that came with it; the rest of that.
fn half_behind_a_request() -> (String, String) {
    let first = "GET /first HTTP/1.1\r\nHost: a.test\r\n\r\n";
    let large = format!(
        "GET /second HTTP/1.1\r\nHost: a.test\r\nX-Large: {}\r\n\r\n",
        "0123456789".repeat(400)
    );
    let (half, rest) = large.split_at(3000);
    (format!("{first}{half}"), rest.to_owned())
}

/// A connection rests once it is quiet, and gives its buffers back; half a head that lies in them is no quiet.
#[test]
fn half_a_head_behind_a_request_is_kept() {
    let upstream = Upstream::start(|conversation| {
        loop {
            let request = conversation.receive()?;
            if request.target == "/hangs" {
                conversation.until_closed();
                return Ok(());
            }
            conversation.send(request.to_answer())?;
        }
    });
    let gateway = Gateway::with(
        "\
workers: 1
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services:
  - {name: up, upstream: up}
  - {name: late, upstream: up, timeouts: {response: 500ms}}
routes: [{name: all, service: up}, {name: late, service: late, paths: [/hangs]}]
",
    )
    .set("up", upstream.address())
    .start();
    let (half, rest) = half_behind_a_request();
    let mut client = gateway.client();
    client.send(half);
    assert_eq!(client.expect_response().json()["target"], "/first");
    // By the time this is answered, a connection that is quiet rests.
    assert_eq!(gateway.get("/hangs").status, 504);
    client.send(rest);
    let answer = client.expect_response();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["target"], "/second");
    let requests = upstream.take_requests();
    let second = requests.iter().find(|request| request.target == "/second");
    let large = second.and_then(|request| request.headers.all("x-large").pop());
    assert_eq!(large, Some("0123456789".repeat(400)));
    assert_eq!(client.get("/third").json()["target"], "/third");
}

#[test]
fn half_a_head_behind_a_request_has_its_time() {
    let upstream = Upstream::echo();
    let gateway = Gateway::with(
        "\
workers: 1
client_timeouts: {header: 500ms, idle: 10m}
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: up, upstream: up}]
routes: [{name: all, service: up}]
",
    )
    .set("up", upstream.address())
    .start();
    let mut client = gateway.client();
    client.send(half_behind_a_request().0);
    assert_eq!(client.expect_response().json()["target"], "/first");
    client.expect_closed();
}
