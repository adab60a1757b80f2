//! The same calls give the same answers: the Rust plugin through both doors, and its twins in C, C++ and Go through the C
//! door.

use std::fs;
use std::path::Path;

use serde_json::Value;
use swapgate_tests::{Gateway, Upstream, artifacts, wait_until};

use crate::world::stripped;

/// What `abi_stable` exports; a file without it has only the C door.
const RUST_DOOR: &[u8] = b"_1as_0lib_1header_0root_bmodule_bloader";

/// Where the plugin answers instead of the upstream, and what it waits for.
const CONFIGS: [&str; 7] = [
    "{}",
    "{respond: rewrite}",
    "{respond: access}",
    "{wait: sleep}",
    "{wait: wake}",
    "{wait: callout}",
    "{wait: blocking}",
];

/// A request with a body and trailers, in chunks.
const REQUEST: &str = "POST /x/42?a=1 HTTP/1.1\r\nHost: test\r\nx-probe: first\r\nX-Probe: second\r\nTE: trailers\r\n\
    Transfer-Encoding: chunked\r\nTrailer: x-trailer\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nx-trailer: asked\r\n\r\n";

/// An answer with both as well. A callout gets the same.
const ANSWER: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-trailer\r\n\r\n\
    3\r\nwor\r\n2\r\nld\r\n0\r\nx-trailer: answered\r\n\r\n";

/// A gateway with this file, before an upstream.
fn start(file: &[u8], id: &str, door: &str, config: &str) -> (Gateway, Upstream) {
    let upstream = Upstream::fixed(ANSWER);
    let gateway = Gateway::with(&configured(id, config))
        .set("up", upstream.address())
        .plugin_bytes("conformance.so", file)
        .start();
    let view = gateway.plugins_view();
    assert_eq!(view["images"][0]["door"], door, "{view}");
    (gateway, upstream)
}

fn configured(id: &str, config: &str) -> String {
    format!(
        "\
workers: 1
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: probe, service: up, paths: [\"/x/{{id}}\"]}}]
plugins: [{{name: {id}, config: {config}}}]
"
    )
}

/// Sends the request, and answers every word of every phase, the status and what either side got of the bodies.
fn words(gateway: &Gateway, upstream: &Upstream) -> Vec<String> {
    let before = said(gateway).len();
    let _before = upstream.take_requests();
    let mut client = gateway.client();
    client.send(REQUEST);
    let answer = client.expect_response();
    // The preflight ran the hooks in another process, whose words are not in this log.
    wait_until("the last words in the log", || {
        said(gateway)[before..]
            .iter()
            .any(|line| line.starts_with("trace E."))
    });
    let trace = answer.header("x-trace");
    let mut lines = vec![
        format!("answer {} {}", answer.status, answer.text()),
        trace.unwrap_or_else(|| "no trace".to_owned()),
    ];
    lines.extend(said(gateway).drain(before..));
    for request in upstream.take_requests() {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        lines.push(format!("{} {body}", request.line()));
    }
    let words = lines.iter().flat_map(|line| line.split(' '));
    words.map(str::to_owned).collect()
}

/// Everything one file says: for each configuration, one after another in one gateway, so that each instance but the first
/// takes over what the one before it handed over; and at last when the client goes while it waits.
fn traces(file: &[u8], id: &str, door: &str) -> Vec<(&'static str, Vec<String>)> {
    let (gateway, upstream) = start(file, id, door, CONFIGS[0]);
    let mut all = Vec::new();
    for config in CONFIGS {
        configure(&gateway, id, config);
        all.push((config, words(&gateway, &upstream)));
    }
    configure(&gateway, id, "{wait: never}");
    all.push(("a client that goes", cancelled(&gateway)));
    all
}

/// Changes the configuration, unless it is the first.
fn configure(gateway: &Gateway, id: &str, config: &str) {
    if config != CONFIGS[0] {
        let generation = gateway.generation();
        gateway.write_config(&configured(id, config));
        gateway.wait_for_generation_after(generation);
    }
}

/// What it says when the client goes while it waits.
fn cancelled(gateway: &Gateway) -> Vec<String> {
    let before = said(gateway).len();
    let mut client = gateway.client();
    client.send("GET /x/42 HTTP/1.1\r\nHost: test\r\n\r\n");
    gateway.wait_for_log("waits for the client to go");
    client.reset();
    wait_until("the last words in the log", || {
        let said = said(gateway);
        said[before..]
            .iter()
            .any(|line| line.starts_with("trace E."))
    });
    said(gateway).drain(before..).collect()
}

/// The lines of the log in which the plugin tells the words of `log` and `request_end`.
fn said(gateway: &Gateway) -> Vec<String> {
    let log = gateway.log();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let messages = lines.filter_map(|line| line["message"].as_str().map(str::to_owned));
    messages
        .filter(|message| message.starts_with("trace "))
        .collect()
}

fn read(file: &Path) -> Vec<u8> {
    fs::read(file).expect("the file is there")
}

/// The file with the name of its second door made unknown.
fn without_rust_door(file: &[u8]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    let places: Vec<usize> = bytes
        .windows(RUST_DOOR.len())
        .enumerate()
        .filter_map(|(at, window)| (window == RUST_DOOR).then_some(at))
        .collect();
    assert!(!places.is_empty(), "the file has no second door");
    for at in places {
        bytes[at] = b'-';
    }
    bytes
}

#[test]
fn equal_traces_through_both_doors_and_from_every_language() {
    let rust = stripped("conformance").bytes().to_vec();
    let through_c = without_rust_door(&rust);
    let others = [
        ("conformance", through_c),
        (
            "conformance-c",
            read(&artifacts::sdk_example("conformance_c")),
        ),
        (
            "conformance-cpp",
            read(&artifacts::sdk_example("conformance_cpp")),
        ),
        (
            "conformance-go",
            read(&artifacts::sdk_example("conformance_go")),
        ),
    ];
    let expected = traces(&rust, "conformance", "rust");
    let has = |number: usize, word: &str| expected[number].1.iter().any(|found| found == word);
    assert!(has(0, "R.import=none") && has(1, "R.import=0:all?it?knows"));
    for word in [
        "A.sleep=0",
        "A.op_cancel.again=-4",
        "A.upstream_set.none=-4",
        "A.kv.compare_and_set.old=-14",
        "B.body_pieces=0:hello",
        "T.header_get.trailer=0:asked",
        "F.body_pieces.more=0:world+copy+own",
        "U.header_get.trailer=0:answered",
        "L.sleep=-7",
    ] {
        assert!(has(0, word), "{word} is not in {:?}", expected[0]);
    }
    for (number, word) in [
        (3, "W.sleep=0"),
        (4, "W.wake=0"),
        (5, "W.callout=0:200"),
        (6, "W.blocking=0:7"),
    ] {
        assert!(has(number, word), "{word} is not in {:?}", expected[number]);
    }
    assert!(expected[7].1.contains(&"trace X: cancelled=yes".to_owned()));
    for (id, file) in &others {
        for ((config, expected), (_, found)) in expected.iter().zip(traces(file, id, "c")) {
            assert!(expected.len() > 2, "{config}: {expected:?}");
            assert_same(expected, &found, &format!("{id}, {config}"));
        }
    }
}

#[track_caller]
fn assert_same(expected: &[String], found: &[String], what: &str) {
    let pairs = expected.iter().zip(found);
    let differs: Vec<_> = pairs.filter(|(a, b)| a != b).collect();
    assert!(differs.is_empty(), "{what}: {differs:#?}");
    assert_eq!(expected.len(), found.len(), "{what}");
}
