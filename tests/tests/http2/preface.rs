//! The first bytes of a connection (RFC 9113, 3.3 and 3.4).

use swapgate_tests::h2::frame::{self, code, setting};
use swapgate_tests::h2::{Connection, PREFACE};

use crate::rows::{ask, row};
use crate::stage::Stage;

#[test]
fn what_a_connection_begins_with() {
    let settings = || frame::settings(&[]).encode();
    let began = |rest: Vec<u8>| [PREFACE, &settings(), &rest].concat();
    let mut pieces = row("3.4", "preface and request byte by byte", Vec::<u8>::new()).bare();
    for byte in began(ask(1).encode()) {
        pieces = pieces.then(vec![byte]);
    }
    Stage::new().play(&[
        row(
            "3.4",
            "preface, settings and request at once",
            began(ask(1).encode()),
        )
        .bare()
        .answer(1, 200),
        pieces.answer(1, 200),
        row(
            "3.4",
            "no SETTINGS after the preface",
            [PREFACE, &ask(1).encode()].concat(),
        )
        .bare()
        .answer(1, 200)
        .rather(
            "PROTOCOL_ERROR",
            "the defaults are in force until a client says otherwise, so nothing is misread",
        ),
        row("3.4", "a preface twice", began(PREFACE.to_vec()))
            .bare()
            .connection(code::FRAME_SIZE_ERROR),
        row(
            "3.4",
            "a preface whose end is wrong",
            [&PREFACE[..20], b"XX\r\n", &settings()].concat(),
        )
        .bare()
        .closed(),
        row(
            "3.4",
            "a preface of another version",
            b"PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n".to_vec(),
        )
        .bare()
        .closed(),
        row("3.4", "a preface cut off", PREFACE[..20].to_vec())
            .bare()
            .finish()
            .closed(),
        row("3.4", "a preface and then nothing", PREFACE.to_vec())
            .bare()
            .finish()
            .closed(),
        row("3.4", "bytes of nothing", vec![0; 64]).bare().closed(),
    ]);
}

/// What the gateway tells of itself before it is asked.
#[test]
fn settings_of_the_gateway() {
    let stage = Stage::with("limits: {streams: 7, header_bytes: 20KiB}");
    let connection = stage.open();
    let said = |name| connection.seen().settings.get(&name).copied();
    assert_eq!(said(setting::MAX_CONCURRENT_STREAMS), Some(7));
    assert_eq!(said(setting::MAX_HEADER_LIST_SIZE), Some(20 * 1024));
    assert_ne!(said(setting::ENABLE_PUSH), Some(1));
    assert!(said(setting::MAX_FRAME_SIZE).unwrap_or(16_384) <= 1 << 20);
}

/// HTTP/1.1 and HTTP/2 live on one listener; the upgrade from one to the other is gone (RFC 9113, 3.1).
#[test]
fn an_upgrade_to_h2c_is_not_taken() {
    let stage = Stage::new();
    let mut client = stage.gateway.client();
    client.send(
        "GET /case HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    );
    let answer = client.expect_response();
    assert_eq!((answer.status, answer.interim.len()), (200, 0));
    let received = stage.upstream.take_requests();
    for name in ["upgrade", "http2-settings", "connection"] {
        assert_eq!(
            received[0].headers.all(name),
            Vec::<String>::new(),
            "{name}"
        );
    }
    // The same connection still speaks HTTP/1.1, and another one HTTP/2.
    assert_eq!(client.get("/case").status, 200);
    let mut other = Connection::open(stage.gateway.address());
    assert_eq!(other.get("/case").unwrap().status, 200);
}
