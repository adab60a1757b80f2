//! HTTP/2 becomes HTTP/1.1: what the upstream reads, byte by byte, and that it never reads anything ambiguous.

use swapgate_tests::Received;
use swapgate_tests::h2::connection::{get, request};
use swapgate_tests::h2::frame;
use swapgate_tests::h2::{Frame, pack};

use crate::rows::{Sent, begin, begin_with, whole, with};
use crate::stage::{Stage, same};

/// What the gateway sets itself.
const SET_BY_GATEWAY: [&str; 7] = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
    "via",
];

/// What never leaves the gateway.
const NEVER: [&str; 6] = [
    "http2-settings",
    "keep-alive",
    "proxy",
    "proxy-connection",
    "upgrade",
    "expect",
];

/// One request, and what the upstream must have received of it.
struct Down {
    name: &'static str,
    sent: Vec<u8>,
    line: &'static str,
    fields: Vec<(&'static str, &'static [u8])>,
    body: &'static str,
}

fn down(
    name: &'static str,
    sent: impl Sent,
    line: &'static str,
    fields: &[(&'static str, &'static str)],
    body: &'static str,
) -> Down {
    let fields = fields
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    Down {
        name,
        sent: sent.bytes(),
        line,
        fields,
        body,
    }
}

#[track_caller]
fn play(stage: &Stage, cases: &[Down]) {
    let play_one = |case: &Down| -> Result<(), String> {
        let mut connection = stage.open();
        let _ = connection.try_send(&case.sent);
        let answer = connection.answer(1).map_err(|error| error.to_string())?;
        same("the answer", &(200, None), &(answer.status, answer.reset))?;
        match stage.upstream.take_requests().as_slice() {
            [request] => compare(case, request),
            others => Err(format!("{} requests were forwarded", others.len())),
        }
    };
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| Some(format!("{}: {}", case.name, play_one(case).err()?)))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {} went wrong:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

fn compare(case: &Down, request: &Received) -> Result<(), String> {
    same("the request line", &case.line, &request.line().as_str())?;
    let written = |(name, value): &(String, Vec<u8>)| format!("{name}: {}", value.escape_ascii());
    let mut found: Vec<String> = request
        .headers
        .0
        .iter()
        .filter(|(name, _)| !SET_BY_GATEWAY.contains(&name.as_str()))
        .map(written)
        .collect();
    let mut wanted: Vec<String> = case
        .fields
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.escape_ascii()))
        .collect();
    // Stable: fields of one name keep their order, which is the only order that means something (RFC 9110, 5.3).
    let name = |field: &String| field.split(':').next().unwrap_or_default().to_owned();
    found.sort_by_key(name);
    wanted.sort_by_key(name);
    same("the fields", &wanted, &found)?;
    same(
        "the body",
        &case.body.escape_default().to_string(),
        &request.raw_body.escape_ascii().to_string(),
    )?;
    holds_always(request)
}

/// What holds for every request that leaves the gateway.
fn holds_always(request: &Received) -> Result<(), String> {
    let odd = |(name, value): &&(String, Vec<u8>)| {
        name.starts_with(':')
            || NEVER.contains(&name.as_str())
            || value.iter().any(|byte| b"\r\n\0".contains(byte))
    };
    same("odd fields", &None, &request.headers.0.iter().find(odd))?;
    same("Host", &1, &request.headers.all("host").len())?;
    let framings = request.headers.all("content-length").len()
        + request.headers.all("transfer-encoding").len();
    same("at most one framing", &true, &(framings < 2))?;
    same("the version", &1, &request.version)
}

fn post(fields: &[(&str, &str)]) -> Frame {
    begin_with(1, fields)
}

#[test]
fn heads() {
    const LINE: &str = "GET /case HTTP/1.1";
    const HOST: (&str, &str) = ("host", "a.test");
    let as_is = |fields: &[(&'static str, &'static str)]| with(1, fields);
    let host = |authority: &str| {
        let mut fields = get("/case");
        fields[2].1 = authority;
        whole(1, &fields)
    };
    let mut without = get("/case").to_vec();
    without[2] = ("host", "only.test");
    without.swap(2, 3);
    play(
        &Stage::new(),
        &[
            down("nothing but what must be", as_is(&[]), LINE, &[HOST], ""),
            down(
                "fields of one name",
                as_is(&[("x", "1"), ("y", "2"), ("x", "3")]),
                LINE,
                &[HOST, ("x", "1"), ("x", "3"), ("y", "2")],
                "",
            ),
            down(
                "an empty value",
                as_is(&[("x", "")]),
                LINE,
                &[HOST, ("x", "")],
                "",
            ),
            down(
                "white space within",
                as_is(&[("x", "a \t b")]),
                LINE,
                &[HOST, ("x", "a \t b")],
                "",
            ),
            down(
                "one crumb of a cookie",
                as_is(&[("cookie", "a=b")]),
                LINE,
                &[HOST, ("cookie", "a=b")],
                "",
            ),
            down(
                "crumbs of a cookie",
                as_is(&[
                    ("cookie", "a=b"),
                    ("x", "1"),
                    ("cookie", "c=d; e=f"),
                    ("cookie", "g=h"),
                ]),
                LINE,
                &[HOST, ("cookie", "a=b; c=d; e=f; g=h"), ("x", "1")],
                "",
            ),
            down(
                "te: trailers",
                as_is(&[("te", "trailers")]),
                LINE,
                &[HOST, ("te", "trailers"), ("connection", "te")],
                "",
            ),
            down(
                "fields that are no one's business",
                as_is(&[
                    ("http2-settings", "AAMA"),
                    ("proxy", "b.test:80"),
                    ("x-forwarded-prefix", "/x"),
                    ("forwarded", "for=b"),
                ]),
                LINE,
                &[HOST],
                "",
            ),
            down(
                "the same host twice",
                as_is(&[("host", "a.test")]),
                LINE,
                &[HOST],
                "",
            ),
            down(
                "host in the place of :authority",
                whole(1, &without),
                LINE,
                &[("host", "only.test")],
                "",
            ),
            down(
                "a port",
                host("a.test:8080"),
                LINE,
                &[("host", "a.test:8080")],
                "",
            ),
            down(
                "upper case",
                host("A.Test"),
                LINE,
                &[("host", "A.Test")],
                "",
            ),
            down(
                "an address",
                host("[::1]:80"),
                LINE,
                &[("host", "[::1]:80")],
                "",
            ),
            down(
                "a method of one's own",
                whole(1, &request("PURGE-all", "/case")),
                "PURGE-all /case HTTP/1.1",
                &[HOST],
                "",
            ),
            down(
                "a method in lower case",
                whole(1, &request("get", "/case")),
                "get /case HTTP/1.1",
                &[HOST],
                "",
            ),
            down(
                "a query and no path",
                whole(1, &get("?a=b")),
                "GET /?a=b HTTP/1.1",
                &[HOST],
                "",
            ),
            down(
                "a query",
                whole(1, &get("/case?a=%2f/../b&c")),
                "GET /case?a=%2f/../b&c HTTP/1.1",
                &[HOST],
                "",
            ),
        ],
    );
}

#[test]
fn bodies() {
    const LINE: &str = "POST /case HTTP/1.1";
    const HOST: (&str, &str) = ("host", "a.test");
    const CHUNKED: (&str, &str) = ("transfer-encoding", "chunked");
    const LENGTH: (&str, &str) = ("content-length", "3");
    let body = |bytes: &str| frame::last_data(1, bytes);
    let trailers = || whole(1, &[("x-sum", "7")]);
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n";
    play(
        &Stage::new(),
        &[
            down(
                "a length",
                [post(&[LENGTH]), body("abc")],
                LINE,
                &[HOST, LENGTH],
                "abc",
            ),
            down(
                "a length twice",
                [post(&[LENGTH, LENGTH]), body("abc")],
                LINE,
                &[HOST, LENGTH],
                "abc",
            ),
            down(
                "a length and padding",
                [post(&[LENGTH]), body("abc").padded(99)],
                LINE,
                &[HOST, LENGTH],
                "abc",
            ),
            down(
                "no length",
                [begin(1), body("abc")],
                LINE,
                &[HOST, CHUNKED],
                "3\r\nabc\r\n0\r\n\r\n",
            ),
            down(
                "no length and no body",
                whole(1, &request("POST", "/case")),
                LINE,
                &[HOST, ("content-length", "0")],
                "",
            ),
            down(
                "a length of nothing",
                [post(&[("content-length", "0")]), body("")],
                LINE,
                &[HOST, ("content-length", "0")],
                "",
            ),
            down(
                "an end that comes later",
                [begin(1), body("")],
                LINE,
                &[HOST, CHUNKED],
                "0\r\n\r\n",
            ),
            down(
                "GET with a body",
                [frame::headers(1, pack::block(&get("/case"))), body("abc")],
                "GET /case HTTP/1.1",
                &[HOST, CHUNKED],
                "3\r\nabc\r\n0\r\n\r\n",
            ),
            down(
                "a body that looks like chunks and a request",
                [begin(1), body(smuggled)],
                LINE,
                &[HOST, CHUNKED],
                "2D\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n\r\n0\r\n\r\n",
            ),
            down(
                "announced trailers",
                [
                    post(&[("trailer", "x-sum")]),
                    frame::data(1, "abc"),
                    trailers(),
                ],
                LINE,
                &[HOST, CHUNKED, ("trailer", "x-sum")],
                "3\r\nabc\r\n0\r\nx-sum: 7\r\n\r\n",
            ),
            down(
                "trailers nobody announced, which HTTP/1.1 clients of hyper cannot send",
                [begin(1), frame::data(1, "abc"), trailers()],
                LINE,
                &[HOST, CHUNKED],
                "3\r\nabc\r\n0\r\n\r\n",
            ),
            down(
                "trailers where a length leaves no place for them",
                [post(&[LENGTH]), frame::data(1, "abc"), trailers()],
                LINE,
                &[HOST, LENGTH],
                "abc",
            ),
            down(
                "an expectation",
                [post(&[LENGTH, ("expect", "100-continue")]), body("abc")],
                LINE,
                &[HOST, LENGTH],
                "abc",
            ),
        ],
    );
}
