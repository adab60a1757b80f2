//! Bodies that clients send: with a length and without one, and only after the server has said that it wants them.

use std::fs;
use std::process::Command;

use swapgate_tests::Upstream;
use swapgate_tests::child::run;

use crate::world::{KEY_AUTH, WITH_KEY, Way, World, only};

#[test]
fn arrive_whole_with_a_length_and_without() {
    let upstream = Upstream::echo();
    let world = World::route(upstream.address(), &[KEY_AUTH, "{name: pass}"]);
    let file = world.certificates.folder().join("upload");
    let body: Vec<u8> = (0..300_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    fs::write(&file, &body).unwrap();
    for way in Way::MODERN {
        let post = world.curl(way, "/", &["--header", WITH_KEY, "--data-binary"]);
        let mut at = std::ffi::OsString::from("@");
        at.push(&file);
        assert_eq!(post.argument(at).success().status(), 200, "{way:?}");
        let request = only(&upstream);
        assert_eq!(
            request.headers.get("content-length").as_deref(),
            Some("300000")
        );
        assert!(request.body == body, "{way:?}");

        // From standard input curl does not know the length.
        let put = world.curl(way, "/", &["--header", WITH_KEY, "--upload-file", "-"]);
        assert_eq!(put.input(&file).success().status(), 200, "{way:?}");
        let request = only(&upstream);
        assert_eq!(request.method, "PUT");
        assert_eq!(request.headers.get("content-length"), None, "{way:?}");
        assert!(request.body == body, "{way:?}");
    }
}

/// curl would wait longer for the 100 than the test waits for curl.
#[test]
fn are_sent_once_the_gateway_says_that_it_wants_them() {
    let upstream = Upstream::echo();
    let world = World::route(upstream.address(), &[KEY_AUTH]);
    let expect = expecting("1000");
    for way in [Way::Http11, Way::Http11Tls] {
        let admitted = [&expect[..], &["--header", WITH_KEY]].concat();
        let answer = world.curl(way, "/", &admitted).success();
        assert_eq!(answer.status(), 200, "{way:?}");
        let first = answer.heads.lines().next().unwrap_or_default();
        assert_eq!(first.trim_end(), "HTTP/1.1 100 Continue", "{way:?}");
        assert_eq!(only(&upstream).body, b"wanted");

        // Who is refused is never asked for the body.
        let refused = world.curl(way, "/", &expect).success();
        assert_eq!(refused.status(), 401, "{way:?}");
        assert!(!refused.heads.contains(" 100"), "{way:?}: {refused:?}");
        assert_eq!(refused.transfers[0]["size_upload"], 0, "{way:?}");
    }
    assert!(upstream.take_broken().is_empty());
}

/// Over HTTP/2 nobody says that, as most servers do not; a client goes on when it has waited for as long as it likes.
#[test]
fn are_sent_over_http2_when_the_client_has_waited_enough() {
    let upstream = Upstream::echo();
    let world = World::route(upstream.address(), &[KEY_AUTH]);
    let expect = expecting("0.1");
    for way in [Way::Http2, Way::Http2Tls] {
        let admitted = [&expect[..], &["--header", WITH_KEY]].concat();
        let answer = world.curl(way, "/", &admitted).success();
        assert_eq!(answer.status(), 200, "{way:?}");
        assert_eq!(only(&upstream).body, b"wanted");
    }
}

fn expecting(seconds: &str) -> [&str; 6] {
    [
        "--header",
        "Expect: 100-continue",
        "--expect100-timeout",
        seconds,
        "--data",
        "wanted",
    ]
}

#[test]
fn that_are_too_large_are_refused() {
    let upstream = Upstream::echo();
    let text = format!(
        "upstreams: [{{name: up, targets: [{{address: \"{}\"}}]}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: all, service: up, body_bytes: 1KiB}}]
",
        upstream.address()
    );
    let world = World::with(&text).start();
    let file = world.certificates.folder().join("upload");
    fs::write(&file, "b".repeat(2000)).unwrap();
    for way in Way::ALL {
        // curl 7.88 forgets an answer over HTTP/2 that comes while it still sends.
        let text = if way.is_http2() {
            let mut nghttp = Command::new("nghttp");
            nghttp.arg("--data").arg(&file);
            nghttp.arg(world.url_of_address(way, "/"));
            run(&mut nghttp).success().text()
        } else {
            let upload = world.curl(way, "/", &["--upload-file"]).argument(&file);
            upload.success().text()
        };
        assert!(text.contains("\"status\":413"), "{way:?}: {text}");
        assert!(upstream.take_requests().is_empty());
    }
}
