//! Pseudo-header fields (RFC 9113, 8.3), CONNECT (8.5) and extended CONNECT (RFC 8441).

use swapgate_tests::h2::connection::get;
use swapgate_tests::h2::frame::{self, code};

use crate::rows::{Row, WHOLE_CONNECTION, row, whole};
use crate::stage::Stage;

type Field<'a> = (&'a str, &'a [u8]);

const METHOD: Field<'_> = (":method", b"GET");
const SCHEME: Field<'_> = (":scheme", b"http");
const AUTHORITY: Field<'_> = (":authority", b"a.test");
const PATH: Field<'_> = (":path", b"/case");
const REGULAR: Field<'_> = ("x", b"1");

fn malformed(name: &str, fields: &[Field<'_>]) -> Row {
    row("8.3", name, whole(1, fields))
        .stream(1, code::PROTOCOL_ERROR)
        .unforwarded()
}

/// What h2 cannot even decode.
fn undecodable(name: &str, fields: &[Field<'_>]) -> Row {
    row("8.3", name, whole(1, fields))
        .connection(code::PROTOCOL_ERROR)
        .rather("a stream error", WHOLE_CONNECTION)
        .unforwarded()
}

/// What h2 admits and the gateway does not.
fn refused(name: &str, fields: &[Field<'_>]) -> Row {
    row("8.3", name, whole(1, fields))
        .answer(1, 400)
        .unforwarded()
}

fn accepted(name: &str, fields: &[Field<'_>]) -> Row {
    row("8.3", name, whole(1, fields)).answer(1, 200)
}

#[test]
fn which_and_in_which_order() {
    Stage::new().play(&[
        accepted("in another order", &[PATH, AUTHORITY, SCHEME, METHOD]),
        accepted(
            "before regular fields",
            &[METHOD, SCHEME, AUTHORITY, PATH, REGULAR],
        ),
        malformed(
            ":method after a regular field",
            &[SCHEME, AUTHORITY, PATH, REGULAR, METHOD],
        ),
        malformed(
            ":path after a regular field",
            &[METHOD, SCHEME, AUTHORITY, REGULAR, PATH],
        ),
        malformed(
            ":authority after a regular field",
            &[METHOD, SCHEME, PATH, REGULAR, AUTHORITY],
        ),
        malformed("no :method", &[SCHEME, AUTHORITY, PATH]),
        malformed("no :scheme", &[METHOD, AUTHORITY, PATH]),
        malformed("no :path", &[METHOD, SCHEME, AUTHORITY]),
        malformed(":method twice", &[METHOD, METHOD, SCHEME, AUTHORITY, PATH]),
        malformed(":scheme twice", &[METHOD, SCHEME, SCHEME, AUTHORITY, PATH]),
        malformed(
            ":authority twice",
            &[METHOD, SCHEME, AUTHORITY, AUTHORITY, PATH],
        ),
        malformed(
            ":path twice",
            &[METHOD, SCHEME, AUTHORITY, PATH, (":path", b"/other")],
        ),
        malformed(
            ":status",
            &[METHOD, SCHEME, AUTHORITY, PATH, (":status", b"200")],
        ),
        malformed(
            ":protocol without CONNECT",
            &[METHOD, SCHEME, AUTHORITY, PATH, (":protocol", b"websocket")],
        ),
        undecodable(
            "an unknown one",
            &[METHOD, SCHEME, AUTHORITY, PATH, (":unknown", b"1")],
        ),
        undecodable(
            "one without a name",
            &[METHOD, SCHEME, AUTHORITY, PATH, (":", b"1")],
        ),
        undecodable(
            "one in upper case",
            &[(":METHOD", b"GET"), SCHEME, AUTHORITY, PATH],
        ),
    ]);
}

#[test]
fn methods_and_schemes() {
    let method = |name: &str, value: &[u8], make: fn(&str, &[Field<'_>]) -> Row| {
        make(name, &[(":method", value), SCHEME, AUTHORITY, PATH])
    };
    let scheme = |name: &str, value: &[u8], make: fn(&str, &[Field<'_>]) -> Row| {
        make(name, &[METHOD, (":scheme", value), AUTHORITY, PATH])
    };
    Stage::new().play(&[
        method("a method of one's own", b"PURGE-all", accepted),
        method("a method in lower case", b"get", accepted),
        method("no letters in the method", b"", undecodable),
        method("a space in the method", b"GET /x", undecodable),
        method(
            "a whole line as the method",
            b"GET /x HTTP/1.1\r\nx: 1\r\n",
            undecodable,
        ),
        method("LF in the method", b"GET\n", undecodable),
        method("NUL in the method", b"GET\0", undecodable),
        method("a colon in the method", b"GET:", undecodable),
        scheme("a scheme nobody serves", b"ftp", refused),
        scheme("no letters in the scheme", b"", refused),
        scheme("a space in the scheme", b"http ", malformed),
        scheme("CR LF in the scheme", b"http\r\nx: 1", malformed),
        scheme("a whole URI as the scheme", b"http://b.test/", malformed),
    ]);
}

/// Behind what ends TLS and passes HTTP/2 on, clients write the scheme that they see.
#[test]
fn https_without_tls_is_for_those_who_are_trusted() {
    let says = |scheme: &'static [u8]| whole(1, &[METHOD, (":scheme", scheme), AUTHORITY, PATH]);
    let stage = Stage::with("trusted_addresses: [127.0.0.1]");
    for scheme in ["https", "http"] {
        let mut connection = stage.open();
        connection.send(says(scheme.as_bytes()).encode());
        assert_eq!(connection.answer(1).unwrap().status, 200);
        let told = stage.upstream.take_requests();
        let told = told
            .iter()
            .find_map(|one| one.headers.get("x-forwarded-proto"));
        assert_eq!(told.as_deref(), Some(scheme));
    }
    Stage::new().play(&[row("8.3", "https from anybody else", says(b"https"))
        .answer(1, 400)
        .unforwarded()]);
}

#[test]
fn paths() {
    let path = |name: &str, value: &[u8], make: fn(&str, &[Field<'_>]) -> Row| {
        make(name, &[METHOD, SCHEME, AUTHORITY, (":path", value)])
    };
    Stage::new().play(&[
        path("a path of nothing", b"", malformed),
        path("a path without a slash", b"case", malformed),
        path("a URI as the path", b"http://b.test/case", malformed),
        path("a query without a path", b"?a=b", accepted),
        path("an asterisk", b"*", refused),
        path("a space in the path", b"/case a", malformed),
        path(
            "a line in the path",
            b"/case HTTP/1.1\r\nx: 1\r\n\r\n",
            malformed,
        ),
        path("LF in the path", b"/case\n", malformed),
        path("NUL in the path", b"/case\0", malformed),
        path("DEL in the path", b"/case\x7f", malformed),
        path("a tab in the path", b"/case\t", malformed),
        path("a space in the query", b"/case?a b", malformed),
        path("CR LF in the query", b"/case?\r\nx: 1", malformed),
        path("a byte that is no UTF-8", b"/case\xff", undecodable),
        path("%2f in the path", b"/case%2fother", refused),
        path("%00 in the path", b"/case%00", refused),
        path("a backslash in the path", b"/case\\other", refused),
        path("a percent sign and no digits", b"/case%zz", refused),
        path("dot segments", b"/a/../case", accepted),
        path("above the root", b"/../../case", refused),
    ]);
}

#[test]
fn hosts() {
    let authority = |name: &str, value: &[u8], make: fn(&str, &[Field<'_>]) -> Row| {
        make(name, &[METHOD, SCHEME, (":authority", value), PATH])
    };
    let both = |name: &str, host: &[u8], make: fn(&str, &[Field<'_>]) -> Row| {
        make(name, &[METHOD, SCHEME, AUTHORITY, PATH, ("host", host)])
    };
    Stage::new().play(&[
        authority("a port", b"a.test:8080", accepted),
        authority("an address of version 6", b"[::1]:80", accepted),
        authority("upper case", b"A.Test", accepted),
        authority("userinfo", b"user@a.test", refused),
        authority("userinfo with a password", b"user:secret@a.test", refused),
        authority("a port that is none", b"a.test:http", refused),
        authority("a port too large", b"a.test:65536", refused),
        authority("a path in it", b"a.test/x", malformed),
        authority("a space in it", b"a test", malformed),
        authority("CR LF in it", b"a.test\r\nx: 1", malformed),
        authority("NUL in it", b"a.test\0", malformed),
        authority("only a port", b":80", refused),
        authority("a comma, which a name may have", b"a,b.test", accepted),
        authority("nothing in it", b"", malformed),
        accepted(
            "host in the place of :authority",
            &[METHOD, SCHEME, PATH, ("host", b"a.test")],
        ),
        refused("neither :authority nor host", &[METHOD, SCHEME, PATH]),
        refused(
            "two hosts and no :authority",
            &[
                METHOD,
                SCHEME,
                PATH,
                ("host", b"a.test"),
                ("host", b"a.test"),
            ],
        ),
        both("the same host", b"a.test", accepted),
        both("the same host in upper case", b"A.TEST", accepted),
        both("another host", b"b.test", refused),
        both("another port", b"a.test:81", refused),
        both("a host of nothing", b"", refused),
        both("a host with a path", b"a.test/x", refused),
        refused(
            "two hosts beside it",
            &[
                METHOD,
                SCHEME,
                AUTHORITY,
                PATH,
                ("host", b"a.test"),
                ("host", b"b.test"),
            ],
        ),
    ]);
}

#[test]
fn connect() {
    const CONNECT: Field<'_> = (":method", b"CONNECT");
    let plain = |name: &str, fields: &[Field<'_>]| row("8.5", name, whole(1, fields)).unforwarded();
    let extended = |name: &str, protocol: &'static [u8]| {
        let fields = [CONNECT, SCHEME, AUTHORITY, PATH, (":protocol", protocol)];
        row(
            "RFC 8441 4",
            name,
            frame::headers(1, swapgate_tests::h2::pack::block(&fields)),
        )
        .unforwarded()
    };
    let without = |name: &str, fields: &[Field<'_>]| {
        let fields = [&[CONNECT, (":protocol", b"websocket")], fields].concat();
        row("RFC 8441 4", name, whole(1, &fields))
            .stream(1, code::PROTOCOL_ERROR)
            .unforwarded()
    };
    Stage::new().play(&[
        plain(
            "CONNECT to a host",
            &[CONNECT, (":authority", b"a.test:443")],
        )
        .answer(1, 501),
        plain("CONNECT to nobody", &[CONNECT]).answer(1, 501),
        plain(
            "CONNECT with a path",
            &[CONNECT, (":authority", b"a.test:443"), PATH],
        )
        .stream(1, code::PROTOCOL_ERROR),
        plain(
            "CONNECT with a scheme",
            &[CONNECT, (":authority", b"a.test:443"), SCHEME],
        )
        .stream(1, code::PROTOCOL_ERROR),
        extended("a protocol nobody knows", b"masque").answer(1, 501),
        extended("a protocol with a line in it", b"websocket\r\nx: 1").answer(1, 400),
        extended("two protocols", b"websocket, masque").answer(1, 400),
        extended("a protocol of nothing", b"").answer(1, 400),
        without("no path", &[SCHEME, AUTHORITY]),
        without("no scheme", &[AUTHORITY, PATH]),
    ]);
    // The connection still serves what it is for.
    let stage = Stage::new();
    let mut connection = stage.open();
    let stream = connection.ask(&[CONNECT, (":authority", b"a.test:443")], None);
    connection.answer(stream).unwrap();
    assert_eq!(connection.ask(&get("/case"), None), 3);
    assert_eq!(connection.answer(3).unwrap().status, 200);
}
