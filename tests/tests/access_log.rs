//! The plugin `access-log` in a gateway with several workers.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;

use serde_json::Value;
use swapgate_tests::{Client, Gateway, Load, Upstream, eventually};

/// Everything answers 200, and the plugin is attached globally with this configuration.
fn config(plugin: &str) -> String {
    format!(
        "\
workers: 2
upstreams: [{{name: a, targets: [{{address: \"@a@\"}}]}}]
services: [{{name: a, upstream: a}}]
routes: [{{name: all, service: a, paths: [/]}}]
plugins: [{{name: access-log, config: {plugin}}}]
"
    )
}

fn gateway(plugin: &str, upstream: &Upstream) -> Gateway {
    Gateway::with(&config(plugin))
        .set("a", upstream.address())
        .plugin("access_log")
        .start()
}

fn upstream() -> Upstream {
    Upstream::fixed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
}

/// The lines of a file, each of which must be an object.
#[track_caller]
fn objects(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'), "a line is torn");
    let read = |line: &str| match serde_json::from_str(line) {
        Ok(Value::Object(object)) => Value::Object(object),
        other => panic!("{other:?}: {line}"),
    };
    text.lines().map(read).collect()
}

#[track_caller]
fn ids(objects: &[Value]) -> BTreeSet<String> {
    let id = |object: &Value| object["request_id"].as_str().expect("an id").to_owned();
    objects.iter().map(id).collect()
}

/// The series of lines with this fate.
fn lines(output: &str, outcome: &str) -> String {
    format!("swapgate_plugin_access_log_lines_total{{outcome=\"{outcome}\",output=\"{output}\"}}")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn every_request_has_one_line() {
    const CLIENTS: usize = 8;
    const EACH: usize = 400;
    let upstream = upstream();
    let gateway = gateway("{output: {file: access.log}, flush: 20ms}", &upstream);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let address = gateway.address();
            thread::spawn(move || {
                let mut connection = Client::connect(address);
                for request in 0..EACH {
                    let path = format!("/{client}/{request}?token=secret&n={request}");
                    assert_eq!(connection.get(&path).status, 200);
                }
            })
        })
        .collect();
    clients
        .into_iter()
        .for_each(|client| client.join().unwrap());
    let path = gateway.folder().join("access.log");
    eventually!(read(&path).lines().count() >= CLIENTS * EACH);
    let objects = objects(&read(&path));
    assert_eq!(objects.len(), CLIENTS * EACH);
    gateway.wait_for_metric(&lines("access.log", "written"), (CLIENTS * EACH) as f64);
    assert_eq!(ids(&objects).len(), CLIENTS * EACH);
    let paths: BTreeSet<_> = objects
        .iter()
        .map(|object| object["path"].as_str())
        .collect();
    assert_eq!(paths.len(), CLIENTS * EACH);
    for object in &objects {
        let query = object["query"].as_str().expect("a query");
        assert!(query.starts_with("token=***&n="), "{object}");
        assert_eq!(
            (&object["status"], &object["response_bytes"]),
            (&200.into(), &2.into())
        );
        assert_eq!(
            (&object["route"], &object["service"]),
            (&"all".into(), &"a".into())
        );
        assert_eq!(object["target"], upstream.address().to_string());
        assert!(
            object["duration_ms"].as_f64() >= object["upstream_ms"].as_f64(),
            "{object}"
        );
    }
}

#[test]
fn a_file_that_is_moved_away_under_load_loses_nothing() {
    const MOVES: usize = 5;
    let upstream = upstream();
    let mut gateway = gateway("{output: {file: access.log}, flush: 5ms}", &upstream);
    let path = gateway.folder().join("access.log");
    let moved = |number: usize| path.with_file_name(format!("access.log.{number}"));
    let load = Load::start(
        gateway.address(),
        6,
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        |answer| {
            let wrong = || Err(format!("status {}", answer.status));
            if answer.status == 200 {
                Ok(())
            } else {
                wrong()
            }
        },
    );
    for number in 0..MOVES {
        load.wait_for_more(100);
        eventually!(path.exists());
        fs::rename(&path, moved(number)).unwrap();
        eventually!(path.exists(), "the file is made again");
    }
    load.wait_for_more(100);
    let outcome = load.stop();
    assert_eq!(outcome.failed, 0, "{outcome:?}");
    assert!(gateway.terminate().success());
    let texts: Vec<_> = (0..MOVES)
        .map(moved)
        .chain([path.clone()])
        .map(|path| read(&path))
        .collect();
    assert!(texts.iter().all(|text| !text.is_empty()));
    let objects: Vec<_> = texts.iter().flat_map(|text| objects(text)).collect();
    assert_eq!(objects.len() as u64, outcome.answered);
    assert_eq!(ids(&objects).len() as u64, outcome.answered);
}

#[test]
fn a_full_disk_leaves_traffic_alone() {
    let upstream = upstream();
    let config = "{output: {file: /dev/full}, queue: 10, flush: 5ms}";
    let mut gateway = gateway(config, &upstream);
    let mut client = gateway.client();
    for _ in 0..200 {
        assert_eq!(client.get("/").status, 200);
    }
    gateway.wait_for_log("the access log cannot be written to /dev/full: No space left on device");
    gateway.wait_for_log("lines for /dev/full were dropped");
    assert_eq!(client.get("/").status, 200);
    let scrape = gateway.metrics();
    let value = |series: &str| scrape.value(series).expect("the series is shown");
    let errors = value("swapgate_plugin_access_log_write_errors_total{output=\"/dev/full\"}");
    assert!(errors >= 1.0);
    let dropped = value(&lines("/dev/full", "dropped"));
    assert!(
        (181.0..=200.0).contains(&dropped),
        "{dropped}: the queue and one batch wait"
    );
    assert_eq!(value(&lines("/dev/full", "written")), 0.0);
    assert!(gateway.terminate().success());
    gateway.wait_for_log("could not be written to /dev/full before the end");
}

#[test]
fn standard_output_and_a_format_of_ones_own() {
    let upstream = upstream();
    let config = r#"{format: "access $client $method $path $status ${request_header.x-a}"}"#;
    let mut gateway = gateway(config, &upstream);
    let request = "GET /a HTTP/1.1\r\nHost: a\r\nX-A: \"\u{ff}\tforged\r\n\r\n";
    assert_eq!(gateway.client().send(request).expect_response().status, 200);
    assert!(gateway.terminate().success());
    let log = gateway.log();
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.starts_with("access "))
        .collect();
    assert_eq!(
        lines,
        [r"access 127.0.0.1 GET /a 200 \x22\xC3\xBF\x09forged"]
    );
}

#[test]
fn a_reload_can_begin_another_file_and_a_refused_one_changes_nothing() {
    let upstream = upstream();
    let to = |name: &str| {
        config(&format!(
            "{{output: {{file: {name}}}, flush: 5ms, fields: [path]}}"
        ))
    };
    let gateway = Gateway::with(&to("first.log"))
        .set("a", upstream.address())
        .plugin("access_log")
        .start();
    let file = |name: &str| read(&gateway.folder().join(name));
    assert_eq!(gateway.get("/1").status, 200);
    gateway.reload_published(&to("second.log"));
    assert_eq!(gateway.get("/2").status, 200);
    eventually!(file("second.log") == "{\"path\":\"/2\"}\n");
    eventually!(file("first.log") == "{\"path\":\"/1\"}\n");
    let errors = gateway.reload_refused(&to("none/third.log"));
    assert!(
        errors[0].contains("output.file: there is no folder none: make it"),
        "{errors:?}"
    );
    assert_eq!(gateway.get("/3").status, 200);
    eventually!(file("second.log").ends_with("{\"path\":\"/3\"}\n"));
}
