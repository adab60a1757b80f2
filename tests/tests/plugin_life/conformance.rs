//! The same calls give the same answers: the Rust plugin through both doors, and its twins in C, C++ and Go through the C
//! door.

use std::fs;
use std::path::Path;

use serde_json::Value;
use swapgate_tests::{Gateway, Upstream, artifacts, wait_until};

use crate::world::stripped;

/// What `abi_stable` exports; a file without it has only the C door.
const RUST_DOOR: &[u8] = b"_1as_0lib_1header_0root_bmodule_bloader";

/// Where the plugin answers instead of the upstream.
const CONFIGS: [&str; 3] = ["{}", "{respond: rewrite}", "{respond: access}"];

/// The trace of one request through a gateway with this file: every word of every phase, and the status.
fn trace(file: &[u8], id: &str, door: &str, config: &str) -> Vec<String> {
    let upstream = Upstream::fixed("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let gateway = Gateway::with(&format!(
        "\
workers: 1
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: probe, service: up, paths: [\"/x/{{id}}\"]}}]
plugins: [{{name: {id}, config: {config}}}]
"
    ))
    .set("up", upstream.address())
    .plugin_bytes("conformance.so", file)
    .start();
    let view = gateway.plugins_view();
    assert_eq!(view["images"][0]["door"], door, "{view}");

    let mut client = gateway.client();
    client.send(
        "POST /x/42?a=1 HTTP/1.1\r\nHost: test\r\nx-probe: first\r\nX-Probe: second\r\nContent-Length: 0\r\n\r\n",
    );
    let answer = client.expect_response();
    // The preflight ran the hooks in another process, whose words are not in this log.
    wait_until("both traces in the log", || said(&gateway).len() >= 2);
    let mut words = vec![format!("answer {}", answer.status)];
    words.extend(
        answer
            .header("x-trace")
            .as_deref()
            .unwrap_or("no trace")
            .split(' ')
            .map(str::to_owned),
    );
    words.extend(
        said(&gateway)
            .iter()
            .flat_map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>()),
    );
    words
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
    for config in CONFIGS {
        let expected = trace(&rust, "conformance", "rust", config);
        assert!(expected.len() > 250, "{}: {expected:?}", expected.len());
        for (id, file) in &others {
            let found = trace(file, id, "c", config);
            let differs: Vec<_> = expected
                .iter()
                .zip(&found)
                .filter(|(a, b)| a != b)
                .collect();
            assert!(differs.is_empty(), "{id}, {config}: {differs:#?}");
            assert_eq!(expected.len(), found.len(), "{id}, {config}");
        }
    }
}
