//! PROXY headers, byte by byte.

use swapgate_tests::{Client, wait_until};

use super::{Told, World, ask, configuration, reload};

const V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";

/// A header of version 2.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("short enough");
    [SIGNATURE, &[command, family], &length.to_be_bytes(), rest].concat()
}

fn v2_six() -> Vec<u8> {
    let mut block = [0x20, 0x01, 0x0d, 0xb8].to_vec();
    block.extend([0; 11]);
    block.push(1);
    block.extend([0; 15]);
    block.push(1);
    block.extend([0x10, 0x00, 0x01, 0xbb]);
    // Fields that nobody knows: an authority, and one of a cloud.
    block.extend(b"\x02\x00\x09a.example\xea\x00\x02\x01\x00");
    v2(0x21, 0x21, &block)
}

/// What a connection that begins like this comes to.
#[track_caller]
fn asked(world: &World, first: &[u8]) -> Told {
    let mut client = world.gateway.client();
    client.send(first);
    ask(&mut client)
}

/// A connection that begins like this is closed without a word, and counted.
#[track_caller]
fn closed(world: &World, first: &[u8], reason: &str, count: usize) {
    let mut client = world.gateway.client();
    // The gateway may be gone before all of it arrived.
    let _ = client.try_send(first);
    let _ = client.try_send(GET);
    client.expect_closed();
    counted(world, reason, count);
    assert!(world.upstream.requests().is_empty());
}

/// So many connections were not served for this reason.
#[track_caller]
fn counted(world: &World, reason: &str, count: usize) {
    let line = format!(
        "swapgate_proxy_header_failures_total{{listener=\"public\",reason=\"{reason}\"}} {count}\n"
    );
    wait_until("it is counted", || {
        world.gateway.admin("/metrics").text().contains(&line)
    });
}

#[test]
fn a_header_says_whose_the_connection_is() {
    let world = World::proxied("required");
    for (header, source, destination) in [
        (V1.to_vec(), "192.0.2.1:56324", "198.51.100.2:443"),
        (
            b"PROXY TCP6 2001:db8::1 ::1 4096 443\r\n".to_vec(),
            "[2001:db8::1]:4096",
            "[::1]:443",
        ),
        (v2_six(), "[2001:db8::1]:4096", "[::1]:443"),
    ] {
        let told = asked(&world, &header);
        told.is_of(source, destination);
        assert_eq!(told.proxied(), Some((source, destination)));
    }
}

#[test]
fn a_proxy_that_speaks_for_itself_is_the_client() {
    let world = World::proxied("required");
    let unix = v2(0x21, 0x31, &[0; 216]);
    for header in [
        &b"PROXY UNKNOWN\r\n"[..],
        b"PROXY UNKNOWN 1 2 3 4\r\n",
        &v2(0x20, 0x00, &[]),
        &v2(0x21, 0x00, &[]),
        &unix,
    ] {
        let mut client = world.gateway.client();
        let local = client.local_address();
        client.send(header);
        let told = ask(&mut client);
        told.is_of(&local.to_string(), &world.address().to_string());
        assert_eq!(told.proxied(), None);
    }
}

#[test]
fn it_may_come_in_any_pieces_and_with_the_request() {
    let world = World::proxied("optional");
    for header in [V1.to_vec(), v2_six()] {
        let whole = [&header[..], GET, GET].concat();
        let mut client = world.gateway.client();
        client.send(&whole);
        for _ in 0..2 {
            let told = Told::of(&client.expect_response().body);
            assert!(told.proxied().is_some());
        }
        // Many pieces: a segment for each byte, for the system waits for nothing.
        let mut client = world.gateway.client();
        for byte in &whole {
            client.send([*byte]);
        }
        for _ in 0..2 {
            let told = Told::of(&client.expect_response().body);
            assert!(told.proxied().is_some());
        }
    }
}

#[test]
fn without_one_an_optional_listener_is_like_any_other() {
    let world = World::proxied("optional");
    let told = asked(&world, b"");
    assert_eq!(told.proxied(), None);
    // What begins like a header and is none.
    for method in ["PROPFIND", "POST", "PRX"] {
        let mut client = world.gateway.client();
        for byte in method.bytes() {
            client.send([byte]);
        }
        client.send(" / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(client.expect_response().status, 200, "{method}");
    }
    let mut client = world.gateway.client();
    client.send("\r\n\r\nGET / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.expect_response().status, 200);
    // A request that ends before it could be told from a header.
    let mut client = world.gateway.client();
    client.send("PR").finish_sending();
    let _ = client.read_to_end();
    assert_eq!(world.gateway.get("/").status, 200);
}

#[test]
fn what_is_no_header_is_not_served_where_one_is_required() {
    let world = World::proxied("required");
    closed(&world, b"", "missing", 1);
    closed(&world, b"\x16\x03\x01\x02\x00", "missing", 2);
    let garbage: [&[u8]; 8] = [
        b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\n",
        b"PROXY TCP4 192.0.2.1\r\n",
        b"PROXY TCP5 192.0.2.1 198.51.100.2 56324 443\r\n",
        b"PROXY TCP4 192.0.2.300 198.51.100.2 56324 443\r\n",
        &[b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200]].concat(),
        &v2(0x31, 0x11, &[0; 12]),
        &v2(0x21, 0x12, &[0; 12]),
        &v2(0x21, 0x11, &[0; 11]),
    ];
    for (index, first) in garbage.into_iter().enumerate() {
        closed(&world, first, "malformed", index + 1);
    }
    let long = v2(0x21, 0x00, &vec![0; 5000]);
    closed(&world, &long, "malformed", garbage.len() + 1);
    let checksum = [&[0; 12][..], &[3, 0, 4, 1, 2, 3, 4]].concat();
    closed(
        &world,
        &v2(0x21, 0x11, &checksum),
        "malformed",
        garbage.len() + 2,
    );
    // One that ends within.
    let mut client = world.gateway.client();
    client.send(&V1[..20]).finish_sending();
    client.expect_closed();
    assert!(asked(&world, V1).proxied().is_some());
}

#[test]
fn nobody_else_is_believed() {
    for mode in ["required", "optional"] {
        let listener =
            format!("{{name: public, address: \"127.0.0.1:0\", proxy_protocol: {mode}}}");
        let world = World::with(&listener, "trusted_addresses: [127.0.0.9]");
        closed(&world, V1, "untrusted", 1);
        closed(&world, &v2_six(), "untrusted", 2);
        if mode == "required" {
            // Nothing is waited for: who is not trusted is not served at all.
            world.gateway.client().expect_closed();
        } else {
            let mut client = world.gateway.client();
            let local = client.local_address();
            ask(&mut client).is_of(&local.to_string(), &world.address().to_string());
        }
    }
}

#[test]
fn forwarding_headers_are_believed_of_whom_the_header_names() {
    let world = World::proxied("required");
    let get = "GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 203.0.113.5\r\n\r\n";
    let ask = |source: &str| {
        let mut client: Client = world.gateway.client();
        client.send(format!("PROXY TCP4 {source} 198.51.100.2 1 443\r\n"));
        Told::of(&client.send(get).expect_response().body)
    };
    // The balancer is trusted, its client is not.
    let told = ask("192.0.2.1");
    assert_eq!(told.header("x-forwarded-for"), Some("192.0.2.1"));
    // Another proxy of ours stands before the balancer.
    let told = ask("127.0.0.1");
    assert_eq!(told.header("x-forwarded-for"), Some("203.0.113.5"));
}

#[test]
fn forwarding_headers_are_believed_of_nobody_where_the_header_names_nobody() {
    let world = World::proxied("optional");
    let get = "GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 203.0.113.5\r\nX-Request-ID: mine\r\n\r\n";
    let ask = |header: &[u8]| {
        let mut client = world.gateway.client();
        client.send(header);
        Told::of(&client.send(get).expect_response().body)
    };
    for header in [
        &b"PROXY UNKNOWN\r\n"[..],
        &v2(0x21, 0x00, &[]),
        &v2(0x21, 0x31, &[0; 216]),
    ] {
        let told = ask(header);
        assert_eq!(told.header("x-forwarded-for"), Some("127.0.0.1"));
        assert_ne!(told.header("x-request-id"), Some("mine"));
    }
    // Whoever sends none, or says that it speaks for itself, is the trusted peer itself.
    for header in [&b""[..], &v2(0x20, 0x00, &[])] {
        let told = ask(header);
        assert_eq!(told.header("x-forwarded-for"), Some("203.0.113.5"));
        assert_eq!(told.header("x-request-id"), Some("mine"));
    }
}

#[test]
fn who_sends_no_header_in_time_is_let_go() {
    let listener = "{name: public, address: \"127.0.0.1:0\", proxy_protocol: required}";
    let world = World::with(
        listener,
        "trusted_addresses: [127.0.0.1]\nclient_timeouts: {handshake: 100ms}",
    );
    for first in [&V1[..10], b"PROXY", b"\r", b""] {
        world.gateway.client().send(first).expect_closed();
    }
    counted(&world, "timeout", 4);
    assert!(asked(&world, V1).proxied().is_some());
}

#[test]
fn a_reload_changes_what_is_expected() {
    let world = World::proxied("off");
    let told = asked(&world, b"");
    assert_eq!(told.proxied(), None);
    let listener =
        |mode: &str| format!("{{name: public, address: \"127.0.0.1:0\", proxy_protocol: {mode}}}");
    let text = configuration(&listener("required"), "trusted_addresses: [127.0.0.1]");
    let change = reload(&world.gateway, &text);
    assert_eq!(change["outcome"], "published", "{change}");
    assert!(asked(&world, V1).proxied().is_some());
    let change = reload(&world.gateway, &configuration(&listener("optional"), ""));
    assert_eq!(change["outcome"], "refused", "{change}");
    let said = "PROXY headers are believed from nobody, because trusted_addresses is empty";
    assert!(change.to_string().contains(said), "{change}");
}
