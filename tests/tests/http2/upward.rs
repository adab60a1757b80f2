//! Answers in HTTP/1.1 become HTTP/2. The harness refuses answers no client must accept: fields of connections, names in
//! upper case, frames out of place.

use swapgate_tests::h2::connection::{get, request};
use swapgate_tests::h2::{Answer, Connection};
use swapgate_tests::wire::WireError;
use swapgate_tests::{Gateway, Upstream};

fn before(upstream: &Upstream) -> Gateway {
    Gateway::with(
        "\
workers: 1
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: s, upstream: up}]
routes: [{name: all, service: s}]
",
    )
    .set("up", upstream.address())
    .start()
}

fn ask(answer: &'static str, method: &str) -> Result<Answer, WireError> {
    let upstream = Upstream::start(move |conversation| {
        conversation.receive()?;
        conversation.send(answer)
    });
    let gateway = before(&upstream);
    let mut connection = Connection::open(gateway.address());
    let stream = connection.ask(&request(method, "/"), None);
    let answer = connection.answer(stream)?;
    connection.synchronize()?;
    Ok(answer)
}

#[test]
fn whole_answers() {
    const ANSWERS: [(&str, &str, u16, &str); 11] = [
        (
            "GET",
            "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            200,
            "abc",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabcdef",
            200,
            "abc",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            200,
            "abc",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            200,
            "abc",
        ),
        ("GET", "HTTP/1.1 200 OK\r\n\r\nabc", 200, "abc"),
        (
            "GET",
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc",
            200,
            "abc",
        ),
        (
            "GET",
            "HTTP/1.1 404 Not Found\r\nConnection: close, X-Secret\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
            404,
            "",
        ),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 10\r\n\r\n",
            304,
            "",
        ),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
            200,
            "",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nX-Upper: A\r\nSET-COOKIE: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 0\r\n\r\n",
            200,
            "",
        ),
    ];
    for (method, sent, status, body) in ANSWERS {
        let answer = ask(sent, method).unwrap();
        let found = (answer.status, &*answer.body, answer.ended, answer.reset);
        assert_eq!(found, (status, body.as_bytes(), true, None), "{sent}");
        assert_eq!(answer.headers.all("x-secret"), Vec::<String>::new());
        if sent.contains("SET-COOKIE") {
            assert_eq!(answer.headers.all("set-cookie"), ["a=b", "c=d"]);
        }
    }
}

#[test]
fn trailers() {
    let sent = "HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n";
    let answer = ask(sent, "GET").unwrap();
    assert_eq!((answer.status, &*answer.body), (200, &b"abc"[..]));
    assert_eq!(answer.trailers.unwrap().get("x-sum").as_deref(), Some("7"));
}

/// The head is out, so nothing can be taken back; but the stream never ends as if all were well.
#[test]
fn an_answer_that_ends_within_its_body_is_never_whole() {
    const ANSWERS: [&str; 4] = [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff",
    ];
    for sent in ANSWERS {
        let answer = ask(sent, "GET").unwrap();
        let refused = answer.status == 502 && answer.ended;
        assert!(
            refused || (answer.reset.is_some() && !answer.ended),
            "{sent}: {answer:?}"
        );
    }
}

/// A reset of one stream does not touch the connection, nor the answers beside it.
#[test]
fn one_broken_answer_beside_good_ones() {
    let upstream = Upstream::start(|conversation| {
        loop {
            let request = conversation.receive()?;
            if request.target == "/broken" {
                return conversation.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
            }
            conversation.send(request.to_answer())?;
        }
    });
    let gateway = before(&upstream);
    let mut connection = Connection::open(gateway.address());
    let streams: Vec<u32> = (0..20)
        .map(|n| connection.ask(&get(if n % 2 == 0 { "/broken" } else { "/good" }), None))
        .collect();
    for (n, stream) in streams.into_iter().enumerate() {
        let answer = connection.answer(stream).unwrap();
        match n % 2 {
            0 => assert!(answer.status == 502 || answer.reset.is_some(), "{answer:?}"),
            _ => assert_eq!(answer.json()["target"], "/good"),
        }
    }
    assert_eq!(connection.get("/good").unwrap().status, 200);
}
