//! Paths: one normal form, which is matched, authorised and forwarded; what has two readings is refused.

use swapgate_tests::{Gateway, Upstream};

use crate::corpus::{Case, Stage, answered, forwarded, passes};

#[test]
fn normal_forms() {
    Stage::new().play(&[
        path("a dot segment", "/a/./b", "GET /a/b HTTP/1.1"),
        path("two dots", "/a/../b", "GET /b HTTP/1.1"),
        path("dots at the end", "/a/b/..", "GET /a/ HTTP/1.1"),
        path("escaped dots", "/a/%2e%2E/b", "GET /b HTTP/1.1"),
        path("an escaped letter", "/%61bc", "GET /abc HTTP/1.1"),
        path("an escaped tilde", "/%7Euser", "GET /~user HTTP/1.1"),
        path(
            "an escape in small digits",
            "/%c3%a9",
            "GET /%C3%A9 HTTP/1.1",
        ),
        path("an escaped space stays", "/a%20b", "GET /a%20b HTTP/1.1"),
        path(
            "an escaped percent stays",
            "/%252e%252e/a",
            "GET /%252e%252e/a HTTP/1.1",
        ),
        path(
            "two slashes stay unless merged",
            "//a//b",
            "GET //a//b HTTP/1.1",
        ),
        path("semicolons stay", "/a;b=c/d", "GET /a;b=c/d HTTP/1.1"),
        path("three dots are a name", "/.../a", "GET /.../a HTTP/1.1"),
        path(
            "the query stays as it is",
            "/a?b=%2f..%2e&c=/../%00",
            "GET /a?b=%2f..%2e&c=/../%00 HTTP/1.1",
        ),
        path("an empty query stays", "/a?", "GET /a? HTTP/1.1"),
    ]);
}

#[test]
fn ambiguous_paths() {
    Stage::new().play(&[
        ambiguous("an escaped slash", "/a%2fb"),
        ambiguous("an escaped slash in capitals", "/a%2Fb"),
        ambiguous("an escaped backslash", "/a%5cb"),
        ambiguous("a backslash", "/a\\b"),
        ambiguous("backslashes for slashes", "/a\\..\\b"),
        ambiguous("an escaped NUL", "/a%00"),
        ambiguous("above the root", "/../a"),
        ambiguous("above the root, escaped", "/%2e%2e/a"),
        ambiguous("dots with parameters", "/a/..;/b"),
        ambiguous("half an escape", "/a%2"),
        ambiguous("no escape", "/a%zz"),
        ambiguous("a letter beyond ASCII", "/\u{e9}"),
        ambiguous("a control byte", "/a\x01b"),
        ambiguous("a DEL", "/a\x7f"),
    ]);
}

/// RFC 9112, 3.2 knows no fragment in a target, and hyper cuts it off before anybody sees it; so what is matched and
/// what is forwarded are the same, without it.
#[test]
fn fragments() {
    let cut = || forwarded("GET /a HTTP/1.1").with("host", "a.test");
    Stage::new().play(&[
        passes("a fragment", "RFC 9112 3.2", get("/a#b"), cut()),
        passes(
            "a fragment with dots",
            "RFC 9112 3.2",
            get("/a#/../b"),
            cut(),
        ),
    ]);
}

#[test]
fn merged_slashes() {
    Stage::with("merge_slashes: true").play(&[
        path("two slashes", "//a//b", "GET /a/b HTTP/1.1"),
        path("slashes around dots", "/a//../b", "GET /b HTTP/1.1"),
        path("a slash at the end stays", "/a//", "GET /a/ HTTP/1.1"),
    ]);
}

/// A path that only becomes `/admin` when it is normalised goes where `/admin` goes, and arrives there as `/admin`.
#[test]
fn what_was_matched_is_what_is_forwarded() {
    let (open, admin) = (Upstream::echo(), Upstream::echo());
    let gateway = Gateway::with(
        "\
upstreams:
  - {name: open, targets: [{address: \"@open@\"}]}
  - {name: admin, targets: [{address: \"@admin@\"}]}
services: [{name: open, upstream: open}, {name: admin, upstream: admin}]
routes:
  - {name: open, service: open}
  - {name: admin, service: admin, paths: [/admin]}
  - {name: short, service: open, paths: [/long/prefix], strip_path: true}
  - {name: below, service: open, paths: [\"/of/{user}/files\"], strip_path: true}
",
    )
    .set("open", open.address())
    .set("admin", admin.address())
    .start();
    for asked in [
        "/admin",
        "/x/../admin",
        "/%61dmin",
        "/./admin",
        "/x/%2e%2e/admin",
    ] {
        assert_eq!(gateway.get(asked).json()["target"], "/admin", "{asked}");
        let there = admin.take_requests();
        assert_eq!(there.len(), 1, "{asked}");
        assert_eq!(open.requests(), [], "{asked}");
    }
    for (asked, forwarded) in [
        ("/administration", "/administration"),
        ("/Admin", "/Admin"),
        ("/long/prefix/a?b", "/a?b"),
        ("/long/prefix", "/"),
        ("/long/prefix/", "/"),
        ("/x/../long/prefix/./a", "/a"),
        ("/of/me/files/a", "/a"),
        ("/of/me/files?b", "/?b"),
    ] {
        assert_eq!(gateway.get(asked).json()["target"], forwarded, "{asked}");
    }
}

fn path(name: &'static str, asked: &str, line: &'static str) -> Case {
    let expect = forwarded(line).with("host", "a.test");
    passes(name, "RFC 3986 6.2.2", get(asked), expect)
}

fn ambiguous(name: &'static str, asked: &str) -> Case {
    answered(name, "RFC 3986 2.2", get(asked), &[400])
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n")
}
