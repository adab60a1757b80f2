//! What an upstream answers, from its first byte on: what hyper reads, what the gateway lets through, what the client gets.

use bytes::Bytes;
use http::response::Parts;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use swapgate::context::headers::is_hop_by_hop;
use swapgate::door;
use swapgate::stream::reframe;
use swapgate::upstream::flaw;

use crate::input::Input;
use crate::memory::{Memory, Whole, settle};
use crate::strict::{After, message};

/// The first byte is flags, the second says how much comes at once; then what the upstream sends.
pub fn answer(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let method = if flags & 1 == 1 {
        Method::HEAD
    } else {
        Method::GET
    };
    let at_once = match input.byte() {
        0 => usize::MAX,
        some => usize::from(some),
    };
    let sent = input.rest();
    let Some((mut head, body)) = read(&method, sent, at_once) else {
        return;
    };
    let before = head.clone();
    if flaw::framing_flaw(&Response::from_parts(head.clone(), ())).is_some() {
        return;
    }
    head.version = http::Version::HTTP_11;
    door::relayed_head(&mut head.headers);
    if flags & 2 == 2 {
        reframe::answer(&mut head.headers);
    }
    let wire = written(&method, &head, &body);
    let after = if reframe::answer_has_body(&method, head.status) {
        After::OfAnswer
    } else {
        After::Nothing
    };
    let (read, length) = message(&wire, after).unwrap_or_else(|flaw| {
        panic!("{flaw}: {}", wire.escape_ascii());
    });
    assert_eq!(length, wire.len(), "more than one answer went out");
    let status = format!("HTTP/1.1 {} ", head.status.as_str());
    assert!(read.line.starts_with(status.as_bytes()));
    assert_eq!(read.body, body);
    for (name, value) in &read.fields {
        let known = http::HeaderName::from_bytes(name).expect("a name");
        let framed = known == "transfer-encoding" && *value == b"chunked";
        assert!(!is_hop_by_hop(&known) || framed, "{known} went out");
        let hyper = ["content-length", "date"].contains(&known.as_str());
        assert!(
            before.headers.contains_key(&known) || hyper || framed,
            "{known} came from nowhere"
        );
    }
    same(&before, &body, sent, after);
}

/// A reader that forgives nothing, where it takes the answer at all, found the same.
fn same(head: &Parts, body: &Bytes, sent: &[u8], after: After) {
    let Ok((own, _)) = message(sent, after) else {
        return;
    };
    let status = format!("HTTP/1.1 {}", head.status.as_str());
    if own.line.starts_with(status.as_bytes()) {
        assert_eq!(own.body, *body, "two readings of one body");
    }
}

/// The first answer that hyper reads, if it comes to its end.
fn read(method: &Method, sent: &[u8], at_once: usize) -> Option<(Parts, Bytes)> {
    let (io, _) = Memory::of_upstream(sent, at_once);
    settle(async {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.ok()?;
        let mut request = Request::new(Whole::told(Bytes::new()));
        *request.method_mut() = method.clone();
        let mut connection = std::pin::pin!(connection);
        let mut reading = std::pin::pin!(async {
            let (head, body) = sender.send_request(request).await.ok()?.into_parts();
            Some((head, body.collect().await.ok()?.to_bytes()))
        });
        std::future::poll_fn(|cx| {
            let _ = connection.as_mut().poll(cx);
            reading.as_mut().poll(cx)
        })
        .await
    })
    .flatten()
}

/// What hyper writes for it.
fn written(method: &Method, head: &Parts, body: &Bytes) -> Vec<u8> {
    let request = format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n");
    let (io, gone) = Memory::new(request.as_bytes(), usize::MAX);
    let told = head.headers.contains_key(http::header::CONTENT_LENGTH);
    let service = service_fn(|_| {
        let body = if told {
            Whole::told(body.clone())
        } else {
            Whole::untold(body.clone())
        };
        let response = Response::from_parts(head.clone(), body);
        async move { Ok::<_, std::convert::Infallible>(response) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.half_close(true);
    let _ = settle(builder.serve_connection(io, service));
    gone.take()
}
