//! A panic of the gateway's own code costs one exchange, is counted and said, and everything that it held comes back. Debug
//! builds have places that panic on demand, see the module `panics::fault` of the gateway.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::{Signal, kill_process};
use serde_json::Value;
use swapgate_tests::gateway::Builder;
use swapgate_tests::load::Load;
use swapgate_tests::{Client, Gateway, Response, Upstream, h2, process, wait_for, wait_until};

const POINTS: &str = "points";
const EXCHANGES: &str = "swapgate_panics_total{where=\"exchange\"}";
/// Where an exchange panics before the head of its answer.
const BEFORE: [&str; 2] = ["head", "upstream"];

/// One worker, so that everybody shares what a panic could have spoilt; a limit of two, so that a place which does not come
/// back is missed.
const CONFIG: &str = "\
workers: 1
listeners: [{name: public, address: \"127.0.0.1:0\", protocols: [h2, http/1.1]}]
admin: {address: \"127.0.0.1:0\"}
plugins_dir: plugins.d
state_dir: state
format: 1
faults: {return_after: 0}
overload: {requests: 40}
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: up, upstream: up}]
routes:
- {name: all, service: up, paths: [\"/x/{id}\"], concurrency: {requests: 20}, plugins: [{name: pass}]}
plugins: [{name: faulty}]
";

fn prepared(config: &str) -> (Builder, Upstream) {
    let upstream = Upstream::echo();
    let builder = Gateway::with_whole(config)
        .set("up", upstream.address())
        .plugin("faulty")
        .plugin("pass")
        .environment("SWAPGATE_FAULT_POINTS", POINTS);
    fs::create_dir(builder.path(POINTS)).expect("the folder is ours");
    (builder, upstream)
}

/// Has the next one who comes to this place panic.
fn arm(gateway: &Gateway, point: &str) {
    fs::write(gateway.folder().join(POINTS).join(point), "").expect("the folder is there");
}

fn ask(client: &mut Client, point: &str, body: &str) -> Option<Response> {
    let length = body.len();
    client.send(format!("POST /x/1 HTTP/1.1\r\nHost: test\r\nx-fault-point: {point}\r\ncontent-length: {length}\r\n\r\n{body}"));
    client.read_response("POST").ok()
}

/// How many exchanges a hook of the plugin saw.
fn calls(gateway: &Gateway, phase: &str) -> f64 {
    let series = format!(
        "swapgate_plugin_calls_total{{plugin=\"faulty\",version=\"0.1.0\",phase=\"{phase}\"}}"
    );
    gateway.metrics().value(&series).unwrap_or_default()
}

/// Nothing is under way and nobody waits.
fn wait_for_rest(gateway: &Gateway) {
    gateway.wait_for_metric("swapgate_route_requests{route=\"all\"}", 0.0);
    gateway.wait_for_metric("swapgate_route_queue_waiting{route=\"all\"}", 0.0);
    let held = |plugin: &str, name: &str| {
        let series = format!("swapgate_plugin_{name}{{plugin=\"{plugin}\",version=\"0.1.0\"}}");
        gateway.metrics().value(&series).unwrap_or_default()
    };
    for plugin in ["faulty", "pass"] {
        for name in ["pending_operations", "buffered_bytes"] {
            wait_until("what plugins hold is let go of", || {
                held(plugin, name) == 0.0
            });
        }
    }
}

/// The lines of the log that say where something panicked.
fn said(gateway: &Gateway) -> Vec<Value> {
    let log = gateway.log();
    let lines = log.lines().filter(|line| line.contains("panicked at"));
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

#[test]
fn an_exchange_that_panics_before_its_head_is_answered_with_500() {
    let (builder, _upstream) = prepared(CONFIG);
    let gateway = builder.start();
    let mut ends = 0.0;
    for (count, point) in BEFORE.iter().enumerate() {
        let mut client = gateway.client();
        let answer = ask(&mut client, point, "some").expect("an answer");
        assert_eq!(answer.status, 500, "{point}");
        assert_eq!(
            answer.json()["detail"],
            "the gateway could not process the request"
        );
        assert_eq!(answer.header("connection").as_deref(), Some("close"));
        client.expect_closed();
        let panics = u32::try_from(count).expect("few") + 1;
        gateway.wait_for_metric(EXCHANGES, f64::from(panics));
        ends += 1.0;
        wait_until("its end", || calls(&gateway, "request_end") == ends);
        // The log is written by a thread of its own.
        wait_until("its line", || said(&gateway).len() > count);
        let lines = said(&gateway);
        assert_eq!(lines.len(), count + 1, "each is said once: {lines:?}");
        let line = lines.last().expect("one line").to_string();
        let id = answer.header("x-request-id").expect("an id");
        assert!(line.contains(&id), "{line}");
        assert!(line.contains("src/panics/fault.rs:"), "{line}");
        assert_eq!(gateway.get("/x/1").status, 200, "the next one is served");
        ends += 1.0;
        wait_until("the end of the next one", || {
            calls(&gateway, "request_end") == ends
        });
    }
    wait_for_rest(&gateway);
    assert_eq!(gateway.admin("/healthz").status, 200);
}

#[test]
fn an_answer_that_panics_breaks_off_and_its_end_is_told() {
    let (builder, _upstream) = prepared(CONFIG);
    let gateway = builder.start();
    let mut other = gateway.client();
    assert_eq!(other.get("/x/1").status, 200);
    let mut client = gateway.client();
    assert!(
        ask(&mut client, "body", "some").is_none(),
        "no whole answer"
    );
    gateway.wait_for_metric(EXCHANGES, 1.0);
    wait_until("both ends", || calls(&gateway, "request_end") == 2.0);
    assert_eq!(calls(&gateway, "log"), 2.0);
    assert_eq!(
        other.get("/x/1").status,
        200,
        "others keep their connection"
    );
    wait_for_rest(&gateway);
}

#[test]
fn a_body_that_panics_on_its_way_up_is_not_the_upstreams_fault() {
    let (builder, upstream) = prepared(CONFIG);
    let gateway = builder.start();
    let mut client = gateway.client();
    let answer = ask(&mut client, "request_body", "some").expect("an answer");
    assert_eq!(answer.status, 500, "{answer:?}");
    gateway.wait_for_metric(EXCHANGES, 1.0);
    wait_until("its end", || calls(&gateway, "request_end") == 1.0);
    assert_eq!(gateway.get("/x/1").status, 200);
    assert!(upstream.requests().len() <= 2, "nothing was sent again");
    wait_for_rest(&gateway);
}

#[test]
fn an_end_that_panics_is_still_the_end_for_plugins() {
    let (builder, _upstream) = prepared(CONFIG);
    let gateway = builder.start();
    let mut client = gateway.client();
    for round in 1..=3 {
        let answer = ask(&mut client, "log", "some").expect("an answer");
        assert_eq!(answer.status, 200, "the client has its answer by then");
        gateway.wait_for_metric(EXCHANGES, f64::from(round));
        wait_until("its end", || {
            calls(&gateway, "request_end") == f64::from(round)
        });
    }
    assert_eq!(calls(&gateway, "log"), 0.0, "which is what panicked");
    wait_for_rest(&gateway);
}

#[test]
fn in_http2_only_the_stream_is_lost() {
    let (builder, _upstream) = prepared(CONFIG);
    let gateway = builder.start();
    let mut connection = h2::Connection::open(gateway.address());
    let fields = |point: &'static str| {
        let mut fields = h2::connection::request("POST", "/x/1").to_vec();
        fields.push(("x-fault-point", point));
        fields
    };
    // It stays open while others panic.
    let fine = connection.next_stream();
    let head = h2::frame::headers(
        fine,
        h2::pack::block(&h2::connection::request("POST", "/x/2")),
    );
    connection.send(head.encode());
    for point in BEFORE {
        let stream = connection.ask(&fields(point), Some(b"some"));
        let answer = connection.answer(stream).expect("the connection lives");
        assert_eq!(answer.status, 500, "{point}: {answer:?}");
        assert!(
            answer.reset.is_none() || answer.reset == Some(0),
            "{answer:?}"
        );
    }
    let stream = connection.ask(&fields("body"), Some(b"some"));
    let answer = connection.answer(stream).expect("the connection lives");
    assert!(answer.reset.is_some(), "{answer:?}");
    gateway.wait_for_metric(EXCHANGES, 3.0);
    connection.send(h2::frame::last_data(fine, *b"rest").encode());
    let answer = connection.answer(fine).expect("the connection lives");
    assert_eq!(
        (answer.status, answer.json()["body"].clone()),
        (200, "rest".into())
    );
    wait_until("every end", || calls(&gateway, "request_end") == 4.0);
    wait_for_rest(&gateway);
}

#[test]
fn two_hundred_panics_under_load_cost_nobody_else_anything() {
    let (builder, _upstream) = prepared(CONFIG);
    let gateway = builder.start();
    let check = |answer: &Response| match answer.status {
        200 => Ok(()),
        other => Err(format!("status {other}")),
    };
    let load = Load::start(
        gateway.address(),
        4,
        "GET /x/1 HTTP/1.1\r\nHost: test\r\n\r\n",
        check,
    );
    let points = ["head", "upstream", "body", "log", "request_body"];
    for round in 0..200 {
        let point = points[round % points.len()];
        let mut client = gateway.client();
        let answer = ask(&mut client, point, "some");
        match point {
            "body" => assert!(answer.is_none(), "{answer:?}"),
            "log" => assert_eq!(answer.expect("an answer").status, 200),
            _ => assert_eq!(answer.expect("an answer").status, 500, "{point}"),
        }
    }
    load.wait_for_more(100);
    let outcome = load.stop_without_failure();
    assert_eq!(
        outcome.connections, 4,
        "no connection was lost: {outcome:?}"
    );
    gateway.wait_for_metric(EXCHANGES, 200.0);
    wait_for_rest(&gateway);
    // Every place is there: forty at a time were admitted, and two hundred would have used them up.
    let answered = u32::try_from(outcome.answered).expect("not so many");
    wait_until("every end", || {
        calls(&gateway, "request_end") == f64::from(answered + 200)
    });
    assert_eq!(gateway.get("/x/1").status, 200);
    assert_eq!(gateway.admin("/healthz").status, 200);
}

#[test]
fn what_must_go_on_begins_anew() {
    let config = CONFIG.replace(
        "upstreams: [{name: up, targets",
        "upstreams: [{name: up, health: {active: {path: /ok, interval: 10ms}}, targets",
    );
    let (builder, upstream) = prepared(&config);
    let gateway = builder.start();
    for (point, part) in [("accept", "listener"), ("check", "health")] {
        arm(&gateway, point);
        wait_until("the place is come to", || {
            if point == "accept" {
                let _ = gateway.get("/x/1");
            }
            !gateway.folder().join(POINTS).join(point).exists()
        });
        gateway.wait_for_metric(&format!("swapgate_panics_total{{where=\"{part}\"}}"), 1.0);
    }
    let seen = upstream.requests().len();
    upstream.wait_for_requests(seen + 3);
    assert_eq!(gateway.get("/x/1").status, 200);
    let mut client = Client::connect(gateway.admin_address());
    client.send("GET /status HTTP/1.1\r\nHost: test\r\nx-fault-point: admin\r\n\r\n");
    assert_eq!(client.expect_response().status, 500);
    assert_eq!(gateway.admin("/healthz").status, 200);
}

#[test]
fn a_change_that_panics_leaves_what_serves_and_says_that_it_is_ill() {
    let (builder, _upstream) = prepared(CONFIG);
    let mut gateway = builder.start();
    arm(&gateway, "change");
    touch(&gateway.config_file());
    let ill = wait_for("a process that says so", || {
        Some(gateway.admin("/healthz")).filter(|answer| answer.status == 503)
    });
    assert_eq!(
        ill.json()["broken"],
        "a change panicked, and no other is made"
    );
    assert_eq!(gateway.admin("/readyz").status, 503);
    assert_eq!(gateway.get("/x/1").status, 200, "traffic goes on");
    gateway.wait_for_metric("swapgate_panics_total{where=\"control\"}", 1.0);
    assert!(gateway.terminate().success(), "it drains as ever");
}

#[test]
fn a_process_that_is_ill_can_be_upgraded() {
    let (builder, _upstream) = prepared(CONFIG);
    let gateway = builder.start();
    arm(&gateway, "change");
    touch(&gateway.config_file());
    wait_until("a process that is ill", || {
        gateway.admin("/healthz").status == 503
    });
    kill_process(gateway.pid(), Signal::USR2).expect("it is there");
    wait_until("a process that is well", || {
        let Ok(mut client) = Client::try_connect(gateway.admin_address()) else {
            return false;
        };
        let asked = client.try_send("GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n");
        asked.is_ok()
            && client
                .read_response("GET")
                .is_ok_and(|one| one.status == 200)
    });
    assert_eq!(gateway.status()["upgrade"]["last"]["outcome"], "serves");
}

#[test]
fn a_worker_that_panics_makes_the_process_ill() {
    let (builder, _upstream) = prepared(&CONFIG.replace("workers: 1", "workers: 2"));
    let mut gateway = builder.start();
    arm(&gateway, "worker");
    gateway.rename_whole_config(&changed(2));
    wait_until("a process that says so", || {
        gateway.admin("/healthz").status == 503 && gateway.admin("/readyz").status == 503
    });
    assert_eq!(gateway.get("/x/1").status, 200, "the other worker serves");
    assert!(gateway.terminate().success(), "it drains as ever");
}

#[test]
fn a_supervised_process_that_is_ill_is_replaced() {
    for (point, workers) in [("change", 1), ("worker", 2)] {
        let config = CONFIG.replace("workers: 1", &format!("workers: {workers}"));
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("gate.sock");
        let further = format!("{{name: local, address: \"unix:{}\"}}", socket.display());
        let config = config.replacen("http/1.1]}]", &format!("http/1.1]}}, {further}]"), 1);
        let (builder, _upstream) = prepared(&config);
        let gateway = builder.argument("--supervised").start();
        let bound = fs::metadata(&socket).expect("the file of a socket").ino();
        let first = process::children(gateway.pid());
        arm(&gateway, point);
        gateway.rename_whole_config(&config.replace("requests: 40", "requests: 41"));
        wait_until("another process", || {
            let now = process::children(gateway.pid());
            !now.is_empty() && now != first
        });
        wait_until("it serves", || {
            let Ok(mut client) = Client::try_connect(gateway.address()) else {
                return false;
            };
            let asked = client.try_send("GET /x/1 HTTP/1.1\r\nHost: test\r\n\r\n");
            asked.is_ok()
                && client
                    .read_response("GET")
                    .is_ok_and(|one| one.status == 200)
        });
        gateway.wait_for_log("a new process takes over");
        let now = fs::metadata(&socket).expect("the file of a socket").ino();
        assert_eq!(now, bound, "nobody finds no socket meanwhile");
    }
}

fn changed(workers: usize) -> String {
    CONFIG
        .replace("workers: 1", &format!("workers: {workers}"))
        .replace("requests: 40", "requests: 41")
}

fn touch(file: &Path) {
    let text = fs::read(file).expect("the file is there");
    fs::write(file, text).expect("it can be written");
}
