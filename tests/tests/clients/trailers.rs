//! Fields after a body, with clients that show them (curl) or send them (nghttp).

use std::process::Command;

use swapgate_tests::Upstream;
use swapgate_tests::child::run;

use crate::world::{Way, World, only};

const ANSWER: &str = "HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 42\r\n\r\n";

#[test]
fn of_answers_reach_clients_that_take_them() {
    let upstream = Upstream::fixed(ANSWER);
    let world = World::route(upstream.address(), &["{name: pass}"]);
    for way in Way::MODERN {
        // HTTP/2 lists no header in Connection; there a client says `te` alone.
        let mut takes = vec!["--header", "TE: trailers"];
        if !way.is_http2() {
            takes.extend(["--header", "Connection: TE"]);
        }
        let answer = world.curl(way, "/", &takes).success();
        assert_eq!((answer.status(), &*answer.text()), (200, "abc"), "{way:?}");
        assert_eq!(answer.values("x-sum"), ["42"], "{way:?}: {answer:?}");
        let te = only(&upstream).headers.get("te");
        assert_eq!(te.as_deref(), Some("trailers"), "{way:?}");
    }
}

#[test]
fn of_requests_reach_the_upstream() {
    let upstream = Upstream::echo();
    let world = World::route(upstream.address(), &[]);
    let file = world.certificates.folder().join("upload");
    std::fs::write(&file, "abc").unwrap();
    for way in [Way::Http2, Way::Http2Tls] {
        let mut nghttp = Command::new("nghttp");
        nghttp.args(["--trailer", "x-sum: 42", "--header", "trailer: x-sum"]);
        nghttp.args(["--no-content-length", "--data"]).arg(&file);
        nghttp.arg(world.url_of_address(way, "/"));
        let answer = run(&mut nghttp).success();
        assert!(answer.text().contains("\"target\":\"/\""), "{answer:?}");
        let request = only(&upstream);
        assert_eq!(request.body, b"abc", "{way:?}");
        let raw = String::from_utf8(request.raw_body).unwrap();
        assert!(raw.ends_with("0\r\nx-sum: 42\r\n\r\n"), "{way:?}: {raw}");
    }
}
