//! What the cases share: the probe, built for each version that is asked for, and a gateway that serves through it.

use std::path::{Path, PathBuf};
use std::process::Command;

use swapgate_tests::gateway::Builder;
use swapgate_tests::{Gateway, Response, Upstream};

/// The probe of this version.
///
/// # Panics
/// When it cannot be compiled.
#[track_caller]
pub(crate) fn probe(version: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let library: PathBuf = folder.path().join("libprobe.so");
    let output = Command::new("cc")
        .args(
            "-std=gnu11 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden -O1 -pthread"
                .split(' '),
        )
        .arg(format!("-DVERSION=\"{version}\""))
        .arg("-I")
        .arg(root.join("../sdk-c/include"))
        .arg("-o")
        .arg(&library)
        .arg(root.join("tests/operations/probe.c"))
        .output()
        .expect("a C compiler");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cc: {said}");
    std::fs::read(&library).expect("it was built")
}

/// A configuration with one route for each of `uses`: the name of the route, which is also its path, and the probe's own
/// configuration there. The route `all` takes the rest.
pub(crate) fn config(settings: &str, uses: &[(&str, &str)]) -> String {
    let mut text = format!(
        "\
{settings}
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: auth, upstream: up}}]
routes:
  - {{name: all, service: auth, plugins: [{{name: probe}}]}}
"
    );
    for (name, config) in uses {
        let config = format!("{{name: {name}, {config}}}");
        text.push_str(&format!(
            "  - {{name: {name}, service: auth, paths: [/{name}], plugins: [{{name: probe, config: {config}}}]}}\n"
        ));
    }
    text
}

/// A gateway that serves through the probe, before `upstream`, which is also its service `auth`.
pub(crate) fn prepared(settings: &str, uses: &[(&str, &str)], upstream: &Upstream) -> Builder {
    Gateway::with(&config(settings, uses))
        .set("up", upstream.address())
        .plugin_bytes("libprobe.so", &probe("1.0.0"))
}

/// What the probe keeps under a key, as a number; 0 if it is not there.
#[track_caller]
pub(crate) fn number(gateway: &Gateway, key: &str) -> i64 {
    let answer = gateway.get(&format!("/get?{key}")).text();
    match answer.parse() {
        Ok(number) => number,
        Err(_) => {
            assert_eq!(answer, "code -4", "{key} is no number");
            0
        }
    }
}

/// One request with these header lines.
#[track_caller]
pub(crate) fn ask(gateway: &Gateway, path: &str, lines: &[(&str, &str)]) -> Response {
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n");
    for (name, value) in lines {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    gateway.client().send(request).expect_response()
}
