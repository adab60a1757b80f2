//! What the upstream and the client are told, byte by byte, and what is no agreement.

use swapgate_tests::{Gateway, Response, Upstream};

use super::{AGREED, CONFIG, ECHO, HANDSHAKE, agreeing, echo, expect_echo, gateway, opened};

/// The fields of a head in the order of their names, without those that tell who the client is.
fn fields(head: &[u8]) -> Vec<String> {
    let head = String::from_utf8_lossy(head).into_owned();
    let mut lines: Vec<String> = head.trim_end().split("\r\n").map(str::to_owned).collect();
    let own = ["x-forwarded-", "x-real-ip", "x-request-id", "via", "date"];
    lines.retain(|line| !own.iter().any(|name| line.to_lowercase().starts_with(name)));
    lines[1..].sort();
    lines
}

fn ask(gateway: &Gateway, request: &str) -> Response {
    let mut client = gateway.client();
    client.send(request);
    client.expect_response()
}

#[test]
fn exactly_two_fields_say_what_is_asked_for_and_agreed_to() {
    let upstream = agreeing(echo);
    let gateway = gateway(&upstream);
    let mut client = gateway.client();
    client.send("GET /x?q HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, Upgrade, X-Hop, TE\r\nUpgrade: h2c, Echo/1, websocket\r\nHTTP2-Settings: AAMAAABk\r\nX-Hop: 1\r\nTE: trailers\r\nKeep-Alive: timeout=5\r\nX-Kept: 1\r\n\r\n");
    let answer = client.read_head().expect("an answer");
    assert_eq!(
        fields(&answer),
        [
            "HTTP/1.1 101 Switching Protocols",
            "connection: upgrade",
            "upgrade: Echo/1"
        ]
    );
    let request = &upstream.requests()[0];
    assert_eq!(
        fields(&request.head),
        [
            "GET /x?q HTTP/1.1",
            "connection: upgrade",
            "host: a.test",
            "upgrade: Echo/1",
            "x-kept: 1"
        ]
    );
    expect_echo(&mut client, "hello");
}

#[test]
fn the_fields_of_websocket_pass_untouched() {
    let upstream = Upstream::start(|conversation| {
        conversation.receive()?;
        conversation.send("HTTP/1.1 101 Changing\r\nUpgrade: WebSocket\r\nConnection: keep-alive, upgrade, x-hop\r\nX-Hop: 1\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Extensions: permessage-deflate; x=1\r\nSec-WebSocket-Protocol: chat\r\nContent-Length: 0\r\n\r\n")?;
        echo(conversation)
    });
    let gateway = gateway(&upstream);
    let mut client = gateway.client();
    let own = "Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nOrigin: http://b.test\r\n";
    client.send(format!(
        "GET / HTTP/1.1\r\nHost: a.test\r\n{HANDSHAKE}{own}\r\n"
    ));
    let answer = client.read_head().expect("an answer");
    assert_eq!(
        fields(&answer),
        [
            "HTTP/1.1 101 Switching Protocols",
            "connection: upgrade",
            "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            "sec-websocket-extensions: permessage-deflate; x=1",
            "sec-websocket-protocol: chat",
            "upgrade: websocket",
        ]
    );
    assert_eq!(
        fields(&upstream.requests()[0].head),
        [
            "GET / HTTP/1.1",
            "connection: upgrade",
            "host: a.test",
            "origin: http://b.test",
            "sec-websocket-extensions: permessage-deflate; client_max_window_bits",
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
            "sec-websocket-protocol: chat, superchat",
            "sec-websocket-version: 13",
            "upgrade: websocket",
        ]
    );
}

#[test]
fn what_is_no_handshake_never_reaches_the_upstream() {
    let upstream = agreeing(echo);
    let gateway = gateway(&upstream);
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let thirteen = "Sec-WebSocket-Version: 13\r\n";
    for (line, fields, status) in [
        ("GET /", format!("{upgrade}{thirteen}"), 400),
        ("GET /", format!("{upgrade}{thirteen}{key}{key}"), 400),
        (
            "GET /",
            format!("{upgrade}{thirteen}Sec-WebSocket-Key: AA==\r\n"),
            400,
        ),
        ("POST /", format!("{upgrade}{thirteen}{key}"), 400),
        ("GET /", format!("{upgrade}{key}"), 426),
        (
            "GET /",
            format!("{upgrade}{key}Sec-WebSocket-Version: 8\r\n"),
            426,
        ),
        ("GET /none", format!("{upgrade}{key}{thirteen}"), 501),
    ] {
        let answer = ask(
            &gateway,
            &format!("{line} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n"),
        );
        assert_eq!(answer.status, status, "{line} {fields}");
        let versions = answer.header("sec-websocket-version");
        assert_eq!(versions.as_deref(), (status == 426).then_some("13"));
    }
    let body = format!("GET / HTTP/1.1\r\nHost: a.test\r\n{HANDSHAKE}Content-Length: 2\r\n\r\nab");
    assert_eq!(ask(&gateway, &body).status, 400);
    assert!(upstream.requests().is_empty());
}

#[test]
fn what_a_route_does_not_list_goes_on_as_an_ordinary_request() {
    let upstream = agreeing(echo);
    let gateway = gateway(&upstream);
    let plain = ["GET /x HTTP/1.1", "host: a.test"];
    for request in [
        "GET /x HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: echo/2\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a.test\r\nUpgrade: echo/1\r\n\r\n",
        "GET /x HTTP/1.0\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: echo/1\r\n\r\n",
        "GET /x HTTP/1.0\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ] {
        assert_eq!(ask(&gateway, request).status, 200, "{request}");
        assert_eq!(
            fields(&upstream.take_requests()[0].head),
            plain,
            "{request}"
        );
    }
    let body = "POST /x HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: echo/1\r\nContent-Length: 2\r\n\r\nab";
    assert_eq!(ask(&gateway, body).status, 200);
    assert_eq!(upstream.take_requests()[0].headers.get("upgrade"), None);
}

#[test]
fn an_agreement_to_something_else_is_none() {
    for wrong in [
        "Upgrade: echo/1\r\n",
        "Connection: Upgrade\r\n",
        "Connection: close\r\nUpgrade: echo/1\r\n",
        "Connection: Upgrade\r\nUpgrade: echo/2\r\n",
        "Connection: Upgrade\r\nUpgrade: echo/1\r\nUpgrade: echo/1\r\n",
        "Connection: Upgrade\r\nUpgrade: echo/1, websocket\r\n",
    ] {
        let upstream = Upstream::start(move |conversation| {
            conversation.receive()?;
            conversation.send(format!("HTTP/1.1 101 Switching Protocols\r\n{wrong}\r\n"))?;
            conversation.until_closed();
            Ok(())
        });
        let gateway = gateway(&upstream);
        assert_eq!(ask(&gateway, ECHO).status, 502, "{wrong}");
        swapgate_tests::eventually!(upstream.open_connections() == 0);
    }
    // Nobody asked: as before.
    let upstream = Upstream::fixed(AGREED);
    assert_eq!(gateway(&upstream).get("/").status, 502);
}

#[test]
fn nobody_is_asked_over_http_2() {
    let upstream = agreeing(echo);
    let config = CONFIG.replace("{name: up, targets", "{name: up, protocol: h2, targets");
    let gateway = Gateway::with(&config).set("up", upstream.address()).start();
    assert_eq!(ask(&gateway, ECHO).status, 501);
    gateway.wait_for_log("set protocol of the upstream to http/1.1");
}

#[test]
fn any_other_answer_is_an_ordinary_one() {
    let upstream = Upstream::answering(|request| {
        let status = request.target.trim_start_matches('/');
        format!("HTTP/1.1 {status} Said\r\nUpgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 4\r\n\r\nbody").into()
    });
    let gateway = gateway(&upstream);
    let mut client = gateway.client();
    for status in [200, 401, 403, 503] {
        client.send(format!(
            "GET /{status} HTTP/1.1\r\nHost: a.test\r\n{HANDSHAKE}\r\n"
        ));
        let answer = client.expect_response();
        assert_eq!((answer.status, answer.text().as_str()), (status, "body"));
        assert_eq!(answer.header("upgrade"), None);
    }
    assert_eq!(upstream.connections(), 1, "it is used again");
    assert_eq!(gateway.metrics().value(super::OPEN), None);
}

#[test]
fn a_connection_changes_over_after_ordinary_requests() {
    let upstream = agreeing(echo);
    let gateway = Gateway::with(CONFIG).set("up", upstream.address()).start();
    let mut client = gateway.client();
    assert_eq!(client.get("/a").status, 200);
    assert_eq!(client.get("/b").status, 200);
    client.send(ECHO);
    super::expect_agreed(&mut client);
    expect_echo(&mut client, "GET / HTTP/1.1\r\n\r\n");
    assert_eq!(upstream.connections(), 1);
    drop(opened(&gateway));
    assert_eq!(upstream.connections(), 2, "the first one is taken");
}
