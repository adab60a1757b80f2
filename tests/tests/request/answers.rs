//! Answers of upstreams as the client gets them: lengths, interim answers, fields.

use swapgate_tests::wire::WireError;
use swapgate_tests::{Client, Gateway, Response, Upstream};

/// An upstream that answers every request with these bytes and then closes or not, behind a gateway with one worker.
pub(crate) struct Stage {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Upstream,
}

impl Stage {
    pub(crate) fn new(upstream: Upstream) -> Self {
        let gateway = Gateway::with(
            "\
workers: 1
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: up, upstream: up}]
routes: [{name: all, service: up}]
",
        )
        .set("up", upstream.address())
        .start();
        Self { gateway, upstream }
    }

    pub(crate) fn fixed(answer: &'static [u8]) -> Self {
        Self::new(Upstream::fixed(answer))
    }

    pub(crate) fn ask(&self, method: &str) -> Result<Response, WireError> {
        let mut client = self.gateway.client();
        ask(&mut client, method)
    }
}

/// Asks on a connection that is kept.
pub(crate) fn ask(client: &mut Client, method: &str) -> Result<Response, WireError> {
    client.try_send(format!("{method} / HTTP/1.1\r\nHost: a.test\r\n\r\n"))?;
    client.read_response(method)
}

#[test]
fn bytes_behind_an_answer_are_nobodys_answer() {
    let stage = Stage::fixed(
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
    );
    let mut client = stage.gateway.client();
    for _ in 0..3 {
        assert_eq!(ask(&mut client, "GET").unwrap().text(), "ok");
    }
}

#[test]
fn interim_answers_do_not_end_an_exchange() {
    let stage = Stage::fixed(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    );
    let mut client = stage.gateway.client();
    for _ in 0..2 {
        let answer = ask(&mut client, "GET").unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    }
}

#[test]
fn answers_without_body() {
    let mut wrong = Vec::new();
    for (name, method, answer, length) in [
        (
            "HEAD keeps the length",
            "HEAD",
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n".as_slice(),
            Some("5"),
        ),
        (
            "HEAD of a chunked answer",
            "HEAD",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            None,
        ),
        (
            "HEAD that says nothing",
            "HEAD",
            b"HTTP/1.1 200 OK\r\n\r\n",
            None,
        ),
        ("204", "GET", b"HTTP/1.1 204 No Content\r\n\r\n", None),
        (
            // RFC 9110, 8.6 leaves it to the server; hyper writes none with a 304.
            "304 with a length",
            "GET",
            b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\netag: \"a\"\r\n\r\n",
            None,
        ),
        (
            "304",
            "GET",
            b"HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n",
            None,
        ),
        (
            "an empty body",
            "GET",
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            Some("0"),
        ),
    ] {
        let stage = Stage::fixed(answer);
        let mut client = stage.gateway.client();
        for _ in 0..2 {
            match ask(&mut client, method) {
                Ok(answer)
                    if answer.body.is_empty()
                        && answer.header("content-length").as_deref() == length => {}
                other => wrong.push(format!("{name}: {other:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// An answer without a length ends with the upstream's connection; the client's connection outlives it.
#[test]
fn an_answer_that_ends_with_its_connection() {
    for head in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
    ] {
        let stage = Stage::new(Upstream::start(move |conversation| {
            conversation.receive()?;
            conversation.send(format!("{head}abc"))
        }));
        let mut client = stage.gateway.client();
        for _ in 0..2 {
            let answer = ask(&mut client, "GET").unwrap();
            assert_eq!(answer.text(), "abc", "{head:?}");
            assert_eq!(
                answer.header("transfer-encoding").as_deref(),
                Some("chunked"),
                "{head:?}"
            );
            assert_eq!(answer.header("connection"), None, "{head:?}");
        }
    }
}

#[test]
fn fields_of_the_upstreams_connection_stay_there() {
    let stage = Stage::fixed(
        b"HTTP/1.1 200 OK\r\nconnection: x-a, keep-alive\r\nx-a: 1\r\nx-b: 2\r\nkeep-alive: timeout=5\r\nproxy-connection: close\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\nok",
    );
    let answer = stage.ask("GET").unwrap();
    for name in [
        "connection",
        "x-a",
        "keep-alive",
        "proxy-connection",
        "upgrade",
    ] {
        assert_eq!(answer.header(name), None, "{name}");
    }
    assert_eq!(answer.header("x-b").as_deref(), Some("2"));
}

#[test]
fn server_and_date_are_the_upstreams() {
    let stage = Stage::fixed(
        b"HTTP/1.1 200 OK\r\nserver: theirs/1\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 0\r\n\r\n",
    );
    let answer = stage.ask("GET").unwrap();
    assert_eq!(answer.header("server").as_deref(), Some("theirs/1"));
    assert_eq!(
        answer.header("date").as_deref(),
        Some("Sun, 06 Nov 1994 08:49:37 GMT")
    );

    let stage = Stage::fixed(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let answer = stage.ask("GET").unwrap();
    assert_eq!(
        answer.header("server"),
        None,
        "no Server of our own on an upstream's answer"
    );
    let date = answer
        .header("date")
        .expect("a recipient with a clock adds one (RFC 9110, 6.6.1)");
    assert!(date.ends_with(" GMT"), "{date}");
}

#[test]
fn repeated_fields_keep_their_number_and_order() {
    let stage = Stage::fixed(
        b"HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nset-cookie: c=\xff\r\ncontent-length: 0\r\n\r\n",
    );
    let answer = stage.ask("GET").unwrap();
    assert_eq!(answer.headers.all("set-cookie"), ["a=1", "b=2", "c=\\xff"]);
}

#[test]
fn an_answer_is_made_of_the_requests_fields() {
    let upstream = Upstream::echo();
    let text = "\
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: s, upstream: up}]
routes:
  - name: r
    service: s
    plugins:
      - {name: key-auth, config: {header: x-key, keys: [{key: right, consumer: alice}]}}
      - {name: headers, config: {response: {set: {x-seen: \"<${header.x-a}>\"}}}}
";
    let gateway = Gateway::with(text)
        .set("up", upstream.address())
        .plugin("key_auth")
        .plugin("headers")
        .start();
    // Forwarded, and so without its fields where nobody asked to keep them; and refused, so that `access` did not run.
    for (key, status) in [("right", 200), ("wrong", 401)] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\nX-Key: {key}\r\n\r\n");
        let answer = gateway.client().send(request).expect_response();
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("x-seen").as_deref(), Some("<b>"), "{key}");
    }
}
