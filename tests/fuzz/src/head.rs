//! A connection of HTTP/1.1 from its first byte on: what hyper reads, what the gateway admits, what goes out upstream.
//!
//! What goes out is read again by [`crate::strict`]: it must be one message, and the one that was
//! admitted. Where that strict reader takes what the client sent as well, both must have read the same.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;

use bytes::Bytes;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use ipnet::IpNet;
use swapgate::context::headers::is_hop_by_hop;
use swapgate::door;
use swapgate::exchange::forwarding::PeerValues;
use swapgate::exchange::ingress::Framing;
use swapgate::router::path::normalize;

use crate::input::Input;
use crate::memory::{Memory, Whole, settle};
use crate::strict::{After, Message, message};

/// A request with a body that came to its end.
struct Received {
    head: Parts,
    body: Bytes,
}

/// The first byte is flags, the second says how much comes at once; then what the client sends.
pub fn head(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let at_once = match input.byte() {
        0 => usize::MAX,
        some => usize::from(some),
    };
    let sent = input.rest();
    let mut place = Some(0);
    for request in read(sent, at_once) {
        let own = place.and_then(|at| message(sent.get(at..)?, After::OfRequest).ok());
        place = place.zip(own.as_ref()).map(|(at, (_, length))| at + length);
        if let Some((own, _)) = &own {
            same_request(own, &request);
        }
        forward(request, flags & 1 == 1, flags & 2 == 2);
    }
}

/// The requests that hyper reads, as a listener has it read them.
fn read(sent: &[u8], at_once: usize) -> Vec<Received> {
    let (io, _) = Memory::new(sent, at_once);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let seen = Rc::clone(&seen);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            seen.borrow_mut().push(Received { head, body });
            Ok::<_, hyper::Error>(Response::new(Whole::told(Bytes::new())))
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .max_buf_size(64 * 1024)
        .header_read_timeout(None)
        .half_close(true);
    let _ = settle(builder.serve_connection(io, service));
    seen.take()
}

/// A reader that forgives nothing found the same.
fn same_request(own: &Message<'_>, request: &Received) {
    let mut words = own.line.split(|byte| *byte == b' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    if version != Some(b"HTTP/1.1") || words.next().is_some() {
        return;
    }
    assert_eq!(method, Some(request.head.method.as_str().as_bytes()));
    let target = target.unwrap_or_default();
    if target.starts_with(b"/") && !target.contains(&b'#') {
        let read = request.head.uri.path_and_query().map(PathAndQuery::as_str);
        assert_eq!(read.map(str::as_bytes), Some(target));
    }
    assert_eq!(own.body, request.body, "two readings of one body");
}

/// Sends it on where it is admitted, and reads what goes out.
fn forward(request: Received, merge: bool, trusted: bool) {
    let any = "0.0.0.0/0".parse::<IpNet>().expect("a network");
    let nets = if trusted { &[any][..] } else { &[] };
    let peer = "192.0.2.9:5".parse().expect("an address");
    let values = PeerValues::new(peer, peer, "http");
    let Received { mut head, body } = request;
    let before = head.clone();
    let Ok(framing) = door::forwarded_head(&mut head, merge, (&values, nets)) else {
        return;
    };
    if before.uri.path() == "*" {
        return; // About the gateway; no route takes it.
    }
    let normal = normalize(before.uri.path(), merge).expect("it was admitted");
    assert_eq!(head.uri.path(), normal);
    let wire = written(&head, framing, body.clone());
    let (read, length) = message(&wire, After::OfRequest).unwrap_or_else(|flaw| {
        panic!("{flaw}: {}", wire.escape_ascii());
    });
    assert_eq!(length, wire.len(), "more than one message went out");
    let target = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let line = format!("{} {target} HTTP/1.1", before.method);
    assert_eq!(read.line, line.as_bytes());
    assert_eq!(read.body, body);
    fields(&read, &before, framing);
    assert_eq!(read.all("x-forwarded-for").last(), Some(&b"192.0.2.9"[..]));
    let real: Vec<_> = read.all("x-real-ip").collect();
    let real: Vec<IpAddr> = real
        .iter()
        .filter_map(|value| std::str::from_utf8(value).ok()?.parse().ok())
        .collect();
    assert_eq!(real.len(), 1);
    assert!(trusted || real == [peer.ip()]);
}

fn fields(read: &Message<'_>, before: &Parts, framing: Framing) {
    assert_eq!(read.all("host").count(), 1, "one host");
    for (name, value) in &read.fields {
        let known = http::HeaderName::from_bytes(name).expect("a name");
        let framed =
            framing == Framing::Chunked && known == "transfer-encoding" && *value == b"chunked";
        assert!(!is_hop_by_hop(&known) || framed, "{known} went out");
        let gateway = known.as_str().starts_with("x-");
        let hyper = known == "content-length";
        assert!(
            before.headers.contains_key(&known) || gateway || hyper || framed || known == "host",
            "{known} came from nowhere"
        );
    }
    assert_eq!(read.all("proxy").chain(read.all("forwarded")).count(), 0);
}

/// What hyper writes for it.
fn written(head: &Parts, framing: Framing, body: Bytes) -> Vec<u8> {
    let body = match framing {
        Framing::Chunked => Whole::untold(body),
        Framing::Length => Whole::told(body),
    };
    let request = Request::from_parts(head.clone(), body);
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let (io, gone) = Memory::of_upstream(answer, usize::MAX);
    settle(async {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.ok()?;
        let mut connection = std::pin::pin!(connection);
        let mut sending = std::pin::pin!(sender.send_request(request));
        std::future::poll_fn(|cx| {
            let _ = connection.as_mut().poll(cx);
            sending.as_mut().poll(cx)
        })
        .await
        .ok()
    });
    gone.take()
}
