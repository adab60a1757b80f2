//! What authors do with a built plugin file: document it, drive it through cases, measure it, watch it serve, and work on
//! its project.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use swapgate_tests::{Client, Gateway, Upstream, artifacts, wait_for};
use tempfile::TempDir;

/// Runs the gateway's binary.
fn swapgate<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Output {
    Command::new(artifacts::gateway())
        .args(arguments)
        .output()
        .expect("the gateway's binary runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn file(library: &str) -> String {
    artifacts::plugin(library).display().to_string()
}

/// Drives a plugin through a script; its exit code and what it said on both streams.
fn drive(library: &str, script: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let cases = folder.path().join("cases.yaml");
    fs::write(&cases, script).expect("the folder is ours");
    let cases = cases.display().to_string();
    let output = swapgate(["plugin", "test", &file(library), "--script", &cases]);
    let said = format!(
        "{}{}",
        stdout(&output),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.code(), said)
}

const KEYS: &str = "\
format: 1
config: {header: x-api-key, keys: [{key: k1, consumer: alice}]}
";

#[test]
fn a_page_tells_settings_hooks_and_an_example() {
    let page = stdout(&swapgate(["plugin", "docs", &file("rate_limit")]));
    for line in [
        "# rate-limit 0.1.0",
        "| hooks | `access`, `header_filter` |",
        "| `limit` | whole number, 1 to 1000000000 | required | How many requests may pass in a window. |",
        "| `address_prefix.v6` | whole number, 0 to 128 | `64` | Of an IPv6 address. |",
        "  - name: rate-limit",
        "      limit: 1",
    ] {
        assert!(page.lines().any(|one| one == line), "no {line}\n{page}");
    }
}

#[test]
fn a_script_whose_cases_hold_is_good() {
    let cases = r#"cases:
  - name: without a key nothing passes
    requests:
      - expect:
          status: 401
          reached_upstream: false
          headers: {www-authenticate: "~^Key", content-type: application/problem+json}
          hooks: {rewrite: continue, access: respond}
          consumer: ""
  - name: a key names its consumer and is taken out
    requests:
      - method: POST
        path: /a?b=c
        headers: ["x-api-key: k1", "x-own: 1"]
        chunks: [he, llo]
        upstream: {status: 201, headers: ["x-up: yes"], chunks: [a, b]}
        expect:
          status: 201
          body: ab
          headers: {x-up: "yes", x-other: null}
          consumer: alice
          forwarded: {method: POST, path: "/a?b=c", body: hello, headers: {x-own: "1", x-api-key: null}}
  - name: a wrong configuration is refused
    config: {header: x-api-key, keyz: []}
    refused: keyz
"#;
    let (code, said) = drive("key_auth", &format!("{KEYS}{cases}"));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.ends_with("3 cases, all as expected\n"), "{said}");
}

#[test]
fn requests_of_a_case_meet_one_instance_and_other_plugins_run_along() {
    let keys =
        r#"{header: x-api-key, keys: [{key: k1, consumer: alice}, {key: k2, consumer: bob}]}"#;
    let script = format!(
        r#"format: 1
attach: route
config: {{limit: 1, window: 1h}}
with: [{{file: "{}", name: key-auth, config: {keys}}}]
cases:
  - name: each consumer has a limit of its own
    requests:
      - {{headers: ["x-api-key: k1"], expect: {{status: 200, headers: {{ratelimit: "~r=0"}}}}}}
      - {{headers: ["x-api-key: k1"], expect: {{status: 429}}}}
      - {{headers: ["x-api-key: k2"], expect: {{status: 200}}}}
  - name: another case begins anew
    requests: [{{headers: ["x-api-key: k1"], expect: {{status: 200}}}}]
"#,
        file("key_auth")
    );
    let (code, said) = drive("rate_limit", &script);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn what_differs_is_told_at_its_place() {
    let cases = r#"cases:
  - name: all wrong
    requests:
      - headers: ["x-api-key: k1"]
        expect:
          status: 401
          body: other
          headers: {x-none: "1"}
          consumer: bob
          vars: {a: b}
          log: [nothing of the kind]
"#;
    let (code, said) = drive("key_auth", &format!("{KEYS}{cases}"));
    assert_eq!(code, Some(1), "{said}");
    for line in [
        "cases.yaml:8:19: cases[0].requests[0].expect.status: the status is 200, not 401",
        "cases.yaml:9:17: cases[0].requests[0].expect.body: the answer's body is \"upstream\\n\", not \"other\"",
        "cases.yaml:10:29: cases[0].requests[0].expect.headers.x-none: the answer's header x-none is missing, not \"1\"",
        "cases.yaml:11:21: cases[0].requests[0].expect.consumer: the consumer is \"alice\", not \"bob\"",
        "cases.yaml:12:21: cases[0].requests[0].expect.vars.a: the variable a is missing, not \"b\"",
        "expect.log[0]: no line of the plugin's log contains \"nothing of the kind\"; it has: \"\"",
        "1 of 1 cases failed",
    ] {
        assert!(said.contains(line), "no {line}\n{said}");
    }
}

#[test]
fn a_script_that_is_none_ends_with_2_and_a_file_that_is_none_with_1() {
    let (code, said) = drive("key_auth", "format: 1\ncases: [{name: x, request: []}]\n");
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("cases[0].request: this key is not known"),
        "{said}"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let none = folder.path().join("none.so");
    fs::write(&none, "no library").expect("the folder is ours");
    let output = swapgate(["plugin", "docs", &none.display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_bench_measures_every_hook() {
    let config = r#"{"header": "x-k", "keys": [{"key": "a", "consumer": "b"}]}"#;
    let output = swapgate([
        "plugin",
        "bench",
        &file("key_auth"),
        "--config",
        config,
        "-H",
        "x-k: a",
        "--time",
        "1",
        "--format",
        "json",
    ]);
    let costs: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let hooks = costs["hooks"].as_array().expect("a list");
    let names: Vec<&str> = hooks
        .iter()
        .filter_map(|hook| hook["hook"].as_str())
        .collect();
    assert_eq!(names, ["rewrite", "access"], "{costs}");
    for hook in hooks {
        assert_eq!(hook["code"], 0, "{costs}");
        assert!(
            hook["calls"].as_u64() > Some(1000) && hook["ns_median"].as_f64() > Some(0.0),
            "{costs}"
        );
        assert_eq!(hook["allocations"], Value::Null, "it does not count them");
    }
    let counted = swapgate([
        "plugin",
        "bench",
        &file("faulty"),
        "--time",
        "1",
        "--format",
        "json",
    ]);
    let costs: Value = serde_json::from_slice(&counted.stdout).expect("JSON");
    assert!(costs["hooks"][0]["allocations"].is_number(), "{costs}");
    let refused = swapgate([
        "plugin",
        "bench",
        &file("key_auth"),
        "--config",
        r#"{"headre": ""}"#,
    ]);
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn top_shows_each_plugin_and_what_it_holds() {
    let upstream = Upstream::echo();
    let text = "\
upstreams: [{name: a, targets: [{address: \"@a@\"}]}]
services: [{name: a, upstream: a}]
routes: [{name: a, service: a, plugins: [{name: faulty}]}]
";
    let gateway = Gateway::with(text)
        .set("a", upstream.address())
        .plugin("faulty")
        .start();
    assert_eq!(gateway.get("/").status, 200);
    let admin = gateway.admin_address().to_string();
    let shown = stdout(&swapgate([
        "top",
        "--once",
        "--interval",
        "0.05",
        "--admin",
        &admin,
    ]));
    let row = shown.lines().find(|line| line.starts_with("faulty "));
    let row = row.unwrap_or_else(|| panic!("no row of faulty:\n{shown}"));
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(&cells[..4], ["faulty", "0.1.0", "active", "1"], "{shown}");
    assert!(shown.contains("ready  generation 1"), "{shown}");
    // What it counts itself is shown everywhere.
    let images = gateway.plugins_view();
    assert!(
        images["images"][0]["memory"]["bytes"].as_u64() > Some(0),
        "{images}"
    );
    let page = gateway.admin("/metrics").text();
    assert!(
        page.contains("swapgate_plugin_memory_bytes{plugin=\"faulty\",version=\"0.1.0\"}"),
        "{page}"
    );
    let nobody = swapgate(["top", "--once", "--admin", "127.0.0.1:1"]);
    assert_eq!(nobody.status.code(), Some(1));
}

/// `swapgate plugin dev` at work on a project in C.
struct Dev {
    child: Child,
    said: Arc<Mutex<String>>,
    folder: TempDir,
}

impl Dev {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let project = folder.path().join("hello");
        let path = project.display().to_string();
        let made = swapgate(["plugin", "new", "hello", "--lang", "c", "--path", &path]);
        assert!(made.status.success(), "{made:?}");
        let config = project.join("try/swapgate.yaml");
        edit(&config, "127.0.0.1:8000", "127.0.0.1:0");
        edit(&config, "127.0.0.1:8001", "127.0.0.1:0");
        let mut child = Command::new(artifacts::gateway())
            .args(["plugin", "dev", &path])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the gateway's binary runs");
        let said = Arc::new(Mutex::new(String::new()));
        let (stdout, heard) = (child.stdout.take().expect("a pipe"), Arc::clone(&said));
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.push_str(&line);
                heard.push('\n');
            }
        });
        Self {
            child,
            said,
            folder,
        }
    }

    fn source(&self) -> PathBuf {
        self.folder.path().join("hello/plugin.c")
    }

    /// Waits for a line that contains this, and returns it.
    #[track_caller]
    fn wait(&self, text: &str) -> String {
        wait_for(&format!("`{text}` from plugin dev"), || {
            let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            said.lines()
                .find(|line| line.contains(text))
                .map(str::to_owned)
        })
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

fn edit(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).expect("the project is ours");
    assert!(text.contains(from), "no {from} in {}", file.display());
    fs::write(file, text.replace(from, to)).expect("the project is ours");
}

#[test]
fn dev_builds_on_save_swaps_and_shows_requests() {
    let mut dev = Dev::start();
    let serving = dev.wait("serving on http://");
    let address = serving
        .split("http://")
        .nth(1)
        .and_then(|rest| rest.split(',').next());
    let address: SocketAddr = address.expect("an address").parse().expect("an address");
    let get = |path: &str| Client::connect(address).get(path);
    assert_eq!(get("/").header("x-greeting").as_deref(), Some("hello"));
    let shown = dev.wait("GET / -> 200");
    assert!(
        shown.contains("hello@0.1.0 access ") && shown.contains(" continue"),
        "{shown}"
    );
    assert_eq!(get("/private").status, 403);
    let shown = dev.wait("GET /private -> 403");
    assert!(shown.contains(" respond"), "{shown}");
    edit(&dev.source(), "x-greeting", "x-saved");
    dev.wait("plugin hello swapped from 0.1.0");
    assert_eq!(get("/").header("x-saved").as_deref(), Some("hello"));
    edit(&dev.source(), "x-saved", "x-broken\" +");
    dev.wait("build failed: make says why");
    assert_eq!(
        get("/").header("x-saved").as_deref(),
        Some("hello"),
        "traffic keeps what it had"
    );
    kill_process(Pid::from_child(&dev.child), Signal::TERM).expect("it runs");
    let ended = wait_for("plugin dev to end", || dev.child.try_wait().expect("ours"));
    assert_eq!(ended.code(), Some(0));
    assert!(
        std::net::TcpStream::connect(address).is_err(),
        "its gateway ended with it"
    );
}
