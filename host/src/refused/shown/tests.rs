//! What is shown of requests, and that no secret is.

use super::visible::is_control;
use super::*;

#[track_caller]
fn check(bytes: &[u8], line: &str, headers: &[&str]) {
    let shown = of_bytes(bytes);
    assert_eq!(
        (shown.line.as_str(), &shown.headers[..]),
        (
            line,
            &headers
                .iter()
                .map(|one| (*one).to_owned())
                .collect::<Vec<_>>()[..]
        )
    );
    let all = format!("{shown:?}");
    assert!(!all.contains("secret"), "{all}");
    assert!(all.len() < 3000, "{}", all.len());
    assert!(!all.bytes().any(is_control), "{all}");
}

#[test]
fn what_a_request_says_about_itself_is_shown() {
    check(
        b"\r\nPOST /a/b?key=secret&flag&x=secret%3D=secret#secret HTTP/1.1\r\nHost: user:secret@a.test\r\nCookie: secret\r\nX-Api-Key : secret\r\nContent-Length: 3\r\nTransfer-Encoding: gzip, chunked\r\n\r\nsecret",
        "POST /a/b?key=***&***&x=*** HTTP/1.1",
        &[
            "Host: ***@a.test",
            "Cookie: ***",
            "X-Api-Key : ***",
            "Content-Length: 3",
            "Transfer-Encoding: gzip, chunked",
        ],
    );
    check(
        b"GET http://user:secret@a.test/x?secret HTTP/1.1\nAuthorization: secret",
        "GET http://***@a.test/x?*** HTTP/1.1",
        &["Authorization: ***"],
    );
    check(
        b"CONNECT user:secret@a.test:443 HTTP/1.1\r\n\r\n",
        "CONNECT ***@a.test:443 HTTP/1.1",
        &[],
    );
    check(b"OPTIONS * HTTP/3.7\r\n\r\n", "OPTIONS * HTTP/3.7", &[]);
    check(b"GET  /a HTTP/1.1\r\n\r\n", "GET /a HTTP/1.1", &[]);
    check(b"GET /a b HTTP/1.1\r\n\r\n", "GET /a b HTTP/1.1", &[]);
    check(
        b"GET /?a=secret with a blank&b=secret HTTP/1.1\r\n",
        "GET /?a=***&b=*** HTTP/1.1",
        &[],
    );
    check(b"GET /?a=secret", "GET /?a=***", &[]);
    check(b"GET /a HTTP/1.1 secret\r\n", "GET /a HTTP/***", &[]);
}

#[test]
fn a_password_may_hold_anything() {
    for delimiter in ["?", "#", "/", ":", "@", " ", "\0", "\x7f"] {
        let target = format!("bob:secret{delimiter}secret@a.test/x?a=secret");
        let shown = "***@a.test/x?a=***";
        let line = format!("GET http://{target} HTTP/1.1\r\n\r\n");
        check(
            line.as_bytes(),
            &format!("GET http://{shown} HTTP/1.1"),
            &[],
        );
        let line = format!("CONNECT {target} HTTP/1.1\r\n\r\n");
        check(line.as_bytes(), &format!("CONNECT {shown} HTTP/1.1"), &[]);
    }
    check(
        b"GET /a@b HTTP/1.1\r\nHost: bob:secret\x01secret@a.test\r\n\r\n",
        "GET /a@b HTTP/1.1",
        &["Host: ***@a.test\\x01..."],
    );
}

#[test]
fn nothing_hides_behind_control_bytes() {
    check(
        b"GET /a\0secret?b HTTP/1.1\r\n\r\n",
        "GET /a\\x00... HTTP/1.1",
        &[],
    );
    check(
        b"GET /\rCookie: secret HTTP/1.1\r\n\r\n",
        "GET /\\r... HTTP/1.1",
        &[],
    );
    check(
        b"GET / HTTP/1.1\r\nHost: a\rCookie: secret\r\n secret\r\nsecret\r\nContent-Length: 1\x01secret\r\nB\xc3\xa4r: secret\r\n\r\n",
        "GET / HTTP/1.1",
        &[
            "Host: a\\r...",
            "(a folded line)",
            "(a line without a colon)",
            "Content-Length: 1\\x01...",
            "B\\xc3\\xa4r: ***",
        ],
    );
}

#[test]
fn what_is_no_request_may_be_a_body() {
    check(
        b"password=secret&user=a\r\nHost: secret\r\n\r\n",
        "(40 bytes that are no request)",
        &[],
    );
    check(
        b"{\"password\": \"secret\"}",
        "(22 bytes that are no request)",
        &[],
    );
    check(b"the secret is this", "(18 bytes that are no request)", &[]);
    check(b"\x16\x03\x01\x02\x00\x01secret", "(a TLS handshake)", &[]);
    check(b"", "(nothing)", &[]);
    check(
        &[b's'; LOOKED_AT],
        "(1024 or more bytes that are no request)",
        &[],
    );
}

#[test]
fn there_is_a_bound_on_all_of_it() {
    let head = format!(
        "GET /{}?{} HTTP/1.1\r\n{}\r\n",
        "p".repeat(5000),
        "k=secret&".repeat(500),
        "Content-Type: \u{7f}\u{1f}x\r\n".repeat(500)
    );
    let shown = of_bytes(head.as_bytes());
    let all = shown.line.len() + shown.headers.iter().map(String::len).sum::<usize>();
    assert!(all <= 2048, "{all}");
    assert!(shown.cut);
}

#[test]
fn a_parsed_head_is_shown_in_the_same_way() {
    let fields = [("cookie", &b"secret"[..]), ("user-agent", b"curl")];
    let shown = of_parts(("GET", "/a?b=secret", "HTTP/2"), fields.into_iter());
    assert_eq!(shown.line, "GET /a?b=*** HTTP/2");
    assert_eq!(shown.headers, ["cookie: ***", "user-agent: curl"]);
    assert!(!shown.cut);
}
