//! Which host a request is for: `Host`, the authority of the target, and what happens when they disagree.

use crate::corpus::{Case, Forwarded, Stage, forwarded, passes, refused};

#[test]
fn host_fields() {
    Stage::new().play(&[
        passes(
            "a port",
            "RFC 9110 7.2",
            "GET / HTTP/1.1\r\nHost: a.test:8000\r\n\r\n",
            plain("a.test:8000"),
        ),
        passes(
            "an IPv6 address",
            "RFC 3986 3.2.2",
            "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
            plain("[::1]:80"),
        ),
        passes(
            "an underscore",
            "RFC 3986 3.2.2",
            "GET / HTTP/1.1\r\nHost: a_b.test\r\n\r\n",
            plain("a_b.test"),
        ),
        refused("missing", "RFC 9112 3.2", "GET / HTTP/1.1\r\n\r\n", &[400]),
        refused(
            "missing, with a body",
            "RFC 9112 3.2",
            "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
            &[400],
        ),
        bad_host("repeated", "Host: a.test\r\nHost: a.test\r\n"),
        bad_host("repeated, disagreeing", "Host: a.test\r\nHost: b.test\r\n"),
        bad_host("empty", "Host:\r\n"),
        bad_host("a user", "Host: user@a.test\r\n"),
        bad_host("a port beyond 65535", "Host: a.test:99999\r\n"),
        bad_host("a port that is no number", "Host: a.test:80a\r\n"),
        bad_host("two ports", "Host: a.test:80:80\r\n"),
        bad_host("a space within", "Host: a.test b.test\r\n"),
        bad_host("a list", "Host: a.test, b.test\r\n"),
        bad_host("a path", "Host: a.test/admin\r\n"),
        bad_host("a query", "Host: a.test?x\r\n"),
        bad_host("a fragment", "Host: a.test#x\r\n"),
        bad_host("a scheme", "Host: http://a.test\r\n"),
        bad_host("a backslash", "Host: a.test\\b\r\n"),
        bad_host("an open bracket", "Host: [::1\r\n"),
        bad_host("a name in brackets", "Host: [a.test]\r\n"),
        bad_host("a letter beyond ASCII", "Host: \u{e9}.test\r\n"),
    ]);
}

#[test]
fn target_forms() {
    Stage::new().play(&[
        passes(
            "absolute, agreeing",
            "RFC 9112 3.2.2",
            "GET http://a.test/p?q HTTP/1.1\r\nHost: a.test\r\n\r\n",
            at("GET /p?q HTTP/1.1", "a.test"),
        ),
        passes(
            "absolute, disagreeing: the authority replaces Host",
            "RFC 9112 3.2.2",
            "GET http://b.test/p HTTP/1.1\r\nHost: a.test\r\n\r\n",
            at("GET /p HTTP/1.1", "b.test"),
        ),
        passes(
            "absolute, with a port",
            "RFC 9112 3.2.2",
            "GET http://b.test:81/p HTTP/1.1\r\nHost: a.test\r\n\r\n",
            at("GET /p HTTP/1.1", "b.test:81"),
        ),
        passes(
            "absolute, without a path",
            "RFC 9112 3.2.1",
            "GET http://a.test HTTP/1.1\r\nHost: a.test\r\n\r\n",
            plain("a.test"),
        ),
        passes(
            "absolute, without a path but a query",
            "RFC 9112 3.2.1",
            "GET http://a.test?q HTTP/1.1\r\nHost: a.test\r\n\r\n",
            at("GET /?q HTTP/1.1", "a.test"),
        ),
        refused(
            "absolute, Host missing",
            "RFC 9112 3.2",
            "GET http://a.test/ HTTP/1.1\r\n\r\n",
            &[400],
        ),
        refused(
            "absolute, Host repeated",
            "RFC 9112 3.2",
            "GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n",
            &[400],
        ),
        refused(
            "absolute, Host malformed",
            "RFC 9112 3.2",
            "GET http://a.test/ HTTP/1.1\r\nHost: a.test/x\r\n\r\n",
            &[400],
        ),
        refused(
            "absolute, with a user",
            "RFC 9110 4.2.4",
            "GET http://user@a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
            &[400],
        ),
        refused(
            "absolute, another scheme",
            "RFC 9110 4.2",
            "GET ftp://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
            &[400],
        ),
        refused(
            "authority without CONNECT",
            "RFC 9112 3.2.3",
            "GET a.test:80 HTTP/1.1\r\nHost: a.test\r\n\r\n",
            &[400],
        ),
        refused(
            "relative",
            "RFC 9112 3.2",
            "GET a/b HTTP/1.1\r\nHost: a.test\r\n\r\n",
            &[400],
        ),
        refused(
            "an asterisk without OPTIONS",
            "RFC 9112 3.2.4",
            "GET * HTTP/1.1\r\nHost: a.test\r\n\r\n",
            &[400],
        ),
        passes(
            "an asterisk",
            "RFC 9112 3.2.4",
            "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n",
            at("OPTIONS * HTTP/1.1", "a.test"),
        ),
        refused(
            "CONNECT",
            "RFC 9110 9.3.6",
            "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n",
            &[501],
        ),
        refused(
            "CONNECT with a path",
            "RFC 9112 3.2.3",
            "CONNECT /p HTTP/1.1\r\nHost: a.test\r\n\r\n",
            &[400, 501],
        ),
    ]);
}

fn bad_host(name: &'static str, fields: &str) -> Case {
    let request = format!("GET / HTTP/1.1\r\n{fields}\r\n");
    refused(name, "RFC 9112 3.2", request, &[400])
}

fn plain(host: &'static str) -> Forwarded {
    at("GET / HTTP/1.1", host)
}

fn at(line: &'static str, host: &'static str) -> Forwarded {
    forwarded(line).with("host", host)
}
