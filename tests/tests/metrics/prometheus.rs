//! A real Prometheus scrapes the gateway, and its `promtool` finds nothing to complain about.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use serde_json::Value;
use swapgate_tests::eventually::LIMIT;
use swapgate_tests::{Client, Gateway, wait_until};

use crate::{TWO, ok};

/// A Prometheus of our own, with its data in a folder that goes with it.
struct Prometheus {
    process: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// Starts one that scrapes `target` every second, on a port the system chooses.
    fn scraping(target: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("the system has a temporary folder");
        let config = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: swapgate, static_configs: [{{targets: [\"{target}\"]}}]}}]\n"
        );
        fs::write(&config, text).expect("the folder is ours");
        let mut process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("prometheus is installed; `cargo xtask test` sees to it");
        let log = process.stderr.take().expect("piped");
        let (found, address) = channel();
        // Read to its end, so that it never waits for us.
        thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once("msg=\"Listening on\" address=") {
                    let _ = found.send(rest.trim().parse::<SocketAddr>());
                }
            }
        });
        let address = address
            .recv_timeout(LIMIT)
            .expect("prometheus says where it listens")
            .expect("an address");
        Self {
            process,
            address,
            _folder: folder,
        }
    }

    /// The value of a query that has one, if it has one now.
    fn query(&self, query: &str) -> Option<f64> {
        let escaped: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let mut client = Client::try_connect(self.address).ok()?;
        let answer = client.get(&format!("/api/v1/query?query={escaped}"));
        let answer: Value = serde_json::from_slice(&answer.body).ok()?;
        answer["data"]["result"][0]["value"][1]
            .as_str()?
            .parse()
            .ok()
    }

    #[track_caller]
    fn wait_for(&self, query: &str, expected: f64) {
        wait_until(&format!("{query} is {expected}"), || {
            self.query(query) == Some(expected)
        });
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_prometheus_reads_what_the_gateway_counts() {
    let upstream = ok();
    let gateway = Gateway::with(TWO).set("up", upstream.address()).start();
    for _ in 0..7 {
        assert_eq!(gateway.get("/users").status, 200);
    }
    let prometheus = Prometheus::scraping(gateway.admin_address());
    prometheus.wait_for("up", 1.0);
    prometheus.wait_for(
        "swapgate_requests_total{route=\"users\",status=\"200\"}",
        7.0,
    );
    prometheus.wait_for(
        "swapgate_request_duration_seconds_count{route=\"users\"}",
        7.0,
    );
    prometheus.wait_for("swapgate_response_bytes_total{route=\"users\"}", 14.0);
    prometheus.wait_for("count(swapgate_build_info)", 1.0);
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let upstream = ok();
    let text = format!("{TWO}plugins: [{{name: conformance}}]\n");
    let gateway = Gateway::with(&text)
        .set("up", upstream.address())
        .plugin("conformance")
        .start();
    assert_eq!(gateway.get("/users").status, 200);
    assert_eq!(gateway.get("/nowhere").status, 404);
    gateway.wait_for_metric(
        "swapgate_plugin_conformance_probes_total{by=\"probe\"}",
        12.0,
    );
    let scrape = gateway.metrics();
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed; `cargo xtask test` sees to it");
    let mut input = promtool.stdin.take().expect("piped");
    input.write_all(scrape.text.as_bytes()).expect("it reads");
    drop(input);
    let output = promtool.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        output.status.success() && said.is_empty(),
        "{said}\n{}",
        scrape.text
    );
}
