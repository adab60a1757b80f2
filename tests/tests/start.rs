//! Starts: what keeps a gateway from serving and how it says so, and what it finds from earlier ones.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use rustix::process::Signal;
use swapgate_tests::gateway::Builder;
use swapgate_tests::{Gateway, Patched, Upstream, artifacts, eventually};

const ALL: &str = "\
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: up, upstream: up}]
routes: [{name: all, service: up}]
";

fn whole(listener: &str, admin: &str, folders: &str) -> String {
    format!(
        "format: 1\nlisteners: [{{name: public, address: \"{listener}\"}}]\nadmin: {{address: \"{admin}\"}}\n{folders}\n{ALL}"
    )
}

fn prepared(listener: &str, admin: &str, folders: &str) -> Builder {
    Gateway::with_whole(&whole(listener, admin, folders)).set("up", "127.0.0.1:9")
}

const ANY: &str = "127.0.0.1:0";

#[test]
fn a_bad_configuration_ends_it_with_every_error() {
    let refusal =
        Gateway::with("routs: []\nlimits: {headers: -1}\nservices: [{name: a, upstream: b}]\n")
            .start_refused();
    assert_eq!(refusal.code, Some(2), "{refusal:?}");
    let errors: Vec<&str> = refusal.stderr.lines().collect();
    assert_eq!(errors.len(), 3, "{errors:#?}");
    for (error, place) in errors.iter().zip([
        "6:1: routs: ",
        "7:19: limits.headers: ",
        "8:32: services[0].upstream: ",
    ]) {
        assert!(error.contains(&format!("swapgate.yaml:{place}")), "{error}");
    }
    for broken in [
        "",
        "format: 2\n",
        "{",
        "\u{0}",
        "- a\n- b\n",
        "format: 1\nformat: 1\n",
    ] {
        let refusal = Gateway::with_whole(broken).start_refused();
        assert_eq!(refusal.code, Some(2), "{broken:?}: {refusal:?}");
        assert!(
            refusal.stderr.contains("swapgate.yaml:"),
            "{broken:?}: {refusal:?}"
        );
        assert!(!refusal.stderr.contains("panicked"), "{refusal:?}");
    }
}

#[test]
fn a_missing_file_ends_it() {
    let output = swapgate(&["run", "--config", "/nowhere/swapgate.yaml"]);
    assert_eq!(output.0, Some(2));
    assert!(
        output.1.contains("the configuration file cannot be read"),
        "{}",
        output.1
    );
}

#[test]
fn a_configuration_its_plugin_does_not_fit_ends_it() {
    let text = "plugins: [{name: headers, config: {request: {sett: {}}}}]\n";
    let refusal = Gateway::with(text).plugin("headers").start_refused();
    assert_eq!(refusal.code, Some(2), "{refusal:?}");
    assert!(refusal.stderr.contains("swapgate.yaml:6:"), "{refusal:?}");
    assert!(refusal.stderr.contains("sett"), "{refusal:?}");
}

#[test]
fn a_taken_port_ends_it() {
    let taken = TcpListener::bind(ANY).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refusal = prepared(&address, ANY, "").start_refused();
    assert_eq!(refusal.code, Some(1), "{refusal:?}");
    let said = format!("listener public cannot bind {address}: ");
    assert!(refusal.stderr.contains(&said), "{refusal:?}");
    let refusal = prepared(ANY, &address, "").start_refused();
    assert_eq!(refusal.code, Some(1), "{refusal:?}");
    let said = format!("the admin listener cannot bind {address}: ");
    assert!(refusal.stderr.contains(&said), "{refusal:?}");
    assert!(
        refusal
            .stderr
            .trim_end()
            .ends_with("; end what listens there, or choose another address")
    );
}

/// `SO_REUSEPORT` would let the second one take half of the clients in silence.
#[test]
fn a_second_gateway_on_the_same_port_is_refused() {
    let upstream = Upstream::echo();
    let first = Gateway::with(ALL).set("up", upstream.address()).start();
    for _ in 0..3 {
        let address = first.address().to_string();
        let refusal = prepared(&address, ANY, "").start_refused();
        assert_eq!(refusal.code, Some(1), "{refusal:?}");
        for _ in 0..10 {
            assert_eq!(first.get("/").status, 200);
        }
    }
}

#[test]
fn folders_that_cannot_be_made_end_it() {
    // A file stands where the folder should be: not even root gets past that.
    for (folders, word) in [
        ("state_dir: swapgate.yaml/state", "state"),
        ("plugins_dir: swapgate.yaml/plugins", "plugins_dir"),
        ("state_dir: /proc/swapgate", "/proc/swapgate"),
    ] {
        let refusal = prepared(ANY, ANY, folders).start_refused();
        assert_eq!(refusal.code, Some(1), "{folders}: {refusal:?}");
        let errors: Vec<&str> = refusal
            .stderr
            .lines()
            .filter(|line| !line.starts_with('{'))
            .collect();
        assert_eq!(errors.len(), 1, "one sentence: {refusal:?}");
        assert!(errors[0].contains(word), "{errors:?}");
    }
}

#[test]
fn the_announcement_tells_where_everything_is() {
    let upstream = Upstream::echo();
    let two =
        "listeners: [{name: one, address: \"127.0.0.1:0\"}, {name: two, address: \"127.0.0.2:0\"}]";
    let text = format!("format: 1\n{two}\nadmin: {{address: \"127.0.0.1:0\"}}\n{ALL}");
    let gateway = Gateway::with_whole(&text)
        .set("up", upstream.address())
        .start();
    let announced = fs::read_to_string(gateway.folder().join("announce.json")).unwrap();
    let announced: serde_json::Value = serde_json::from_str(&announced).unwrap();
    let pid = gateway.pid().as_raw_nonzero().get();
    assert_eq!(announced["pid"], pid);
    assert_eq!(announced["listeners"][1]["name"], "two");
    for name in ["one", "two"] {
        let address = gateway.address_of(name);
        assert_eq!(
            swapgate_tests::Client::connect(address).get("/").status,
            200,
            "at once"
        );
    }
    assert!(!gateway.folder().join("announce.part").exists());
}

#[test]
fn an_announcement_that_cannot_be_written_ends_it() {
    let refusal = Gateway::with(ALL)
        .set("up", "127.0.0.1:9")
        .argument("--log=warn")
        .announce_to("swapgate.yaml/announce.json")
        .start_refused();
    assert_eq!(refusal.code, Some(1), "{refusal:?}");
    assert!(refusal.stderr.contains("cannot write"), "{refusal:?}");
}

#[test]
fn check_says_what_run_would_say() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gate.yaml");
    let name = file.to_str().unwrap();
    fs::write(&file, whole(ANY, ANY, "").replace("@up@", "127.0.0.1:9")).unwrap();
    let (code, said) = swapgate(&["check", "--config", name]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("good"), "{said}");
    fs::write(
        &file,
        "format: 1\nlisteners: []\nroutes: [{name: a, service: b}]\n",
    )
    .unwrap();
    let (code, said) = swapgate(&["check", "--config", name]);
    assert_eq!(code, Some(2), "{said}");
    assert_eq!(
        swapgate(&["run", "--config", name]),
        (code, said.clone()),
        "the same words"
    );
    let (code, json) = swapgate(&["check", "--config", name, "--format", "json"]);
    assert_eq!(code, Some(2));
    let document: serde_json::Value = serde_json::from_str(&json).unwrap();
    let errors = document["errors"].as_array().unwrap();
    assert_eq!(errors.len(), said.lines().count(), "{said}\n{json}");
    assert!(
        !folder.path().join("state").exists(),
        "a check leaves nothing behind"
    );
}

/// Killed means: nothing was tidied up. The next gateway finds copies, verdicts and half-written files.
#[test]
fn what_a_killed_gateway_left_is_no_obstacle() {
    let upstream = Upstream::echo();
    let state = tempfile::tempdir().unwrap();
    let text = whole(ANY, ANY, &format!("state_dir: {}", state.path().display()))
        + "plugins: [{name: stamp}]\n";
    let start = |stamp: &str| {
        Gateway::with_whole(&text)
            .set("up", upstream.address())
            .plugin_bytes(
                "libstamp.so",
                Patched::read(&artifacts::plugin("stamp"))
                    .stamp(stamp)
                    .bytes(),
            )
            .start()
    };
    for round in 0..4 {
        let stamp = format!("round {}", round / 2);
        let mut gateway = start(&stamp);
        let seen = gateway.get("/").header("x-stamp-response");
        assert_eq!(seen, Some(stamp));
        gateway.signal(Signal::KILL);
        let _ = gateway.wait_for_end();
        let pid = gateway.pid().as_raw_nonzero();
        // And somebody, or something, spoiled what it left.
        for file in files_below(state.path()) {
            fs::write(&file, "spoiled").unwrap();
        }
        let aside = state.path().join("images").join(format!("aside-{pid}-1"));
        fs::write(aside, "half").unwrap();
    }
    let gateway = start("last");
    let left = files_below(&state.path().join("images"));
    assert_eq!(left.len(), 1, "only the copy in use: {left:#?}");
    assert_eq!(gateway.get("/").status, 200);
}

/// As at an upgrade: the old gateway drains while the new one has started with the same state folder.
#[test]
fn two_gateways_share_a_state_folder() {
    let upstream = Upstream::echo();
    let state = tempfile::tempdir().unwrap();
    let text = whole(ANY, ANY, &format!("state_dir: {}", state.path().display()))
        + "plugins: [{name: stamp}]\n";
    let start = || {
        Gateway::with_whole(&text)
            .set("up", upstream.address())
            .plugin("stamp")
            .start()
    };
    let mut old = start();
    let copies = files_below(&state.path().join("images"));
    let new = start();
    for copy in copies {
        assert!(
            copy.exists(),
            "the new one took {} from the old one",
            copy.display()
        );
    }
    old.reload_same_by_signal();
    assert_eq!(old.get("/").status, 200);
    assert_eq!(old.terminate().code(), Some(0));
    assert_eq!(new.get("/").status, 200);
    let changed = Patched::read(&artifacts::plugin("stamp")).stamp("newer");
    new.plugins().rename(changed.bytes(), "libstamp.so");
    eventually!(new.get("/").header("x-stamp-response").as_deref() == Some("newer"));
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files_below(&path)),
            path => found.push(path),
        }
    }
    found
}

/// Runs the command to its end; the code, and what it wrote.
fn swapgate(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(artifacts::gateway())
        .args(arguments)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}
