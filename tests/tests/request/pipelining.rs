//! Several requests in one piece, and what hides behind a request.

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
