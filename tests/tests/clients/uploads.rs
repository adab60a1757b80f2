//! Bodies that clients send: with a length and without one, and only after the server has said that it wants them.

use std::fs;

use swapgate_tests::{Upstream, eventually};

use crate::world::{KEY_AUTH, Way, World, only};

const WITH_KEY: &str = "x-api-key: key-of-alice";

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
    let expect = [
        "--header",
        "Expect: 100-continue",
        "--expect100-timeout",
        "1000",
        "--data",
        "wanted",
    ];
    for way in Way::MODERN {
        let admitted = [&expect[..], &["--header", WITH_KEY]].concat();
        let answer = world.curl(way, "/", &admitted).success();
        assert_eq!(answer.status(), 200, "{way:?}");
        let first = answer.heads.lines().next().unwrap_or_default();
        assert!(
            first.starts_with(&format!("HTTP/{} 100", way.version())),
            "{way:?}: {answer:?}"
        );
        assert_eq!(only(&upstream).body, b"wanted");

        // Who is refused is never asked for the body.
        let refused = world.curl(way, "/", &expect).success();
        assert_eq!(refused.status(), 401, "{way:?}");
        assert!(!refused.heads.contains(" 100"), "{way:?}: {refused:?}");
        assert_eq!(refused.transfers[0]["size_upload"], 0, "{way:?}");
    }
    eventually!(upstream.take_broken().is_empty());
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
    let body = "b".repeat(2000);
    for way in Way::ALL {
        let answer = world.curl(way, "/", &["--data", &body]).success();
        assert_eq!(answer.status(), 413, "{way:?}");
        assert!(upstream.take_requests().is_empty());
    }
}
