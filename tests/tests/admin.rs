//! The admin listener: what it tells, whom it tells, and that nothing the gateway is busy with silences it.

use serde_json::Value;
use swapgate_tests::process::children;
use swapgate_tests::{
    Client, Gateway, Patched, Response, Upstream, artifacts, eventually, wait_for,
};

const ALL: &str = "\
workers: 1
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: up, upstream: up}]
routes:
  - {name: all, service: up, hosts: [\"*.test\", test], paths: [/, \"/users/{id}\"], methods: [GET, POST], priority: 3}
";

#[track_caller]
fn ask(address: std::net::SocketAddr, request: &str) -> Response {
    let mut client = Client::connect(address);
    client.send(request);
    let method = request.split(' ').next().unwrap();
    client.read_response(method).unwrap()
}

#[test]
fn what_it_tells() {
    let upstream = Upstream::echo();
    let text = format!("{ALL}plugins: [{{name: stamp}}]\n");
    let gateway = Gateway::with(&text)
        .set("up", upstream.address())
        .plugin("stamp")
        .start();
    for _ in 0..3 {
        assert_eq!(gateway.get("/").status, 200);
    }
    assert_eq!(gateway.admin("/healthz").json()["alive"], true);
    let ready = gateway.admin("/readyz");
    assert_eq!(
        (ready.status, &ready.json()["ready"]),
        (200, &Value::Bool(true))
    );

    let status = gateway.status();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["workers"], 1);
    assert_eq!(status["generation"], 1);
    assert_eq!(status["ready"], true);
    assert_eq!(status["last_change"]["trigger"], "start");
    assert_eq!(status["last_change"]["outcome"], "published");
    assert_eq!(status["listeners"][0]["name"], "public");
    assert_eq!(
        status["listeners"][0]["address"],
        gateway.address().to_string()
    );
    for empty in ["degraded", "draining", "refused", "stuck"] {
        assert_eq!(status[empty], Value::Array(Vec::new()), "{empty}");
    }
    assert!(status["uptime_s"].is_u64() && status["pending"].is_null());

    let view = gateway.plugins_view();
    let image = &view["images"][0];
    assert_eq!(
        (&image["id"], &image["state"]),
        (&"stamp".into(), &"active".into())
    );
    assert_eq!(image["digest"].as_str().map(str::len), Some(64));
    assert_eq!(image["abi"], status["abi"]);
    assert!(
        image["file"]
            .as_str()
            .unwrap()
            .ends_with("plugins.d/libstamp.so")
    );
    let hooks = image["instances"][0]["hooks"].as_array().unwrap();
    let filter = hooks
        .iter()
        .find(|hook| hook["hook"] == "header_filter")
        .unwrap();
    assert_eq!(
        (&filter["calls"], &filter["errors"]),
        (&3.into(), &0.into())
    );
    assert_eq!(image["hooks"].as_array().map(Vec::len), Some(hooks.len()));

    let routes = gateway.admin("/routes").json();
    let route = &routes["routes"][0];
    assert_eq!(
        (&route["name"], &route["service"]),
        (&"all".into(), &"up".into())
    );
    assert_eq!(route["hosts"], serde_json::json!(["*.test", "test"]));
    assert_eq!(route["paths"], serde_json::json!(["/", "/users/{id}"]));
    assert_eq!(route["methods"], serde_json::json!(["GET", "POST"]));
    assert_eq!(
        (&route["priority"], &route["unavailable"]),
        (&3.into(), &Value::Null)
    );
    assert_eq!(route["plugins"][0]["id"], "stamp");
}

#[test]
fn it_is_read_only() {
    let gateway = Gateway::with(ALL).set("up", "127.0.0.1:9").start();
    let to = gateway.admin_address();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = ask(
            to,
            &format!("{method} /status HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
        );
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow").as_deref(), Some("GET, HEAD"));
    }
    let head = ask(to, "HEAD /status HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((head.status, head.body.len()), (200, 0));
    for path in ["/", "/status/", "/STATUS", "/plugins/x", "/..%2fstatus"] {
        assert_eq!(gateway.admin(path).status, 404, "{path}");
    }
    assert_eq!(gateway.admin("/status?pretty").status, 200);
    for broken in ["GARBAGE\r\n\r\n", "GET  HTTP/1.1\r\n\r\n", "\0\0\0\r\n\r\n"] {
        let mut client = Client::connect(to);
        client.send(broken);
        let _ = client.read_response("GET");
        assert_eq!(gateway.admin("/healthz").status, 200);
    }
}

#[test]
fn a_token_is_asked_for() {
    let whole = |admin: &str| {
        format!(
            "format: 1\nlisteners: [{{name: public, address: \"127.0.0.1:0\"}}]\nadmin: {admin}\n"
        )
    };
    let refusal = Gateway::with_whole(&whole("{address: \"0.0.0.0:0\"}")).start_refused();
    assert_eq!(refusal.code, Some(2), "{refusal:?}");
    assert!(refusal.stderr.contains("token"), "{refusal:?}");

    for address in ["0.0.0.0:0", "127.0.0.1:0"] {
        let text = whole(&format!(
            "{{address: \"{address}\", token: \"${{env:TOKEN}}\"}}"
        ));
        let gateway = Gateway::with_whole(&text)
            .environment("TOKEN", "s3cret-t0ken")
            .start();
        let port = gateway.admin_address().port();
        let to = ([127, 0, 0, 1], port).into();
        let with = |path: &str, field: &str| {
            ask(
                to,
                &format!("GET {path} HTTP/1.1\r\nHost: a\r\n{field}\r\n"),
            )
        };
        for path in [
            "/status", "/healthz", "/readyz", "/plugins", "/routes", "/nothing",
        ] {
            for field in [
                "",
                "Authorization: Bearer s3cret-t0ke\r\n",
                "Authorization: s3cret-t0ken\r\n",
                "Authorization: Bearer s3cret-t0ken \u{1}x\r\n",
                "Authorization: Bearer \r\n",
            ] {
                let answer = with(path, field);
                assert!(
                    matches!(answer.status, 400 | 401),
                    "{path} {field}: {answer:?}"
                );
                if answer.status == 401 {
                    assert_eq!(answer.header("www-authenticate").as_deref(), Some("Bearer"));
                }
            }
        }
        let answer = with("/status", "Authorization: Bearer s3cret-t0ken\r\n");
        assert_eq!(answer.status, 200);
        assert!(!answer.text().contains("s3cret"));
        assert!(
            !gateway.log().contains("s3cret"),
            "secrets stay out of the log"
        );
    }
}

/// The only worker hangs in a plugin; admin lives elsewhere.
#[test]
fn it_answers_while_a_worker_hangs() {
    let upstream = Upstream::echo();
    let text =
        format!("{ALL}plugins: [{{name: faulty, config: {{access: hang, when: x-fault}}}}]\n");
    let gateway = Gateway::with(&text)
        .set("up", upstream.address())
        .plugin("faulty")
        .start();
    assert_eq!(gateway.get("/").status, 200);
    let mut hanging = gateway.client();
    hanging.send("GET / HTTP/1.1\r\nHost: test\r\nX-Fault: 1\r\n\r\n");
    // The kernel hands the request over when it likes; some of these come before that, most of them after.
    for _ in 0..30 {
        for path in ["/healthz", "/readyz", "/status", "/plugins", "/routes"] {
            assert_eq!(gateway.admin(path).status, 200, "{path}");
        }
    }
    assert_eq!(
        upstream.requests().len(),
        1,
        "the second one never got through"
    );
}

#[test]
fn it_answers_while_a_preflight_hangs() {
    let upstream = Upstream::echo();
    let gateway = Gateway::with(&format!("loader: {{preflight_timeout: 50s}}\n{ALL}"))
        .set("up", upstream.address())
        .start();
    let file = Patched::read(&artifacts::plugin("faulty")).fault("constructor=hang");
    gateway.plugins().rename(file.bytes(), "libfaulty.so");
    gateway.rename_config(&format!(
        "loader: {{preflight_timeout: 50s}}\n{ALL}plugins: [{{name: faulty}}]\n"
    ));
    wait_for("the preflight", || children(gateway.pid()).first().copied());
    for path in ["/healthz", "/readyz", "/status", "/plugins", "/routes"] {
        assert_eq!(gateway.admin(path).status, 200, "{path}");
    }
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn slow_clients_do_not_silence_it() {
    let gateway = Gateway::with(ALL).set("up", "127.0.0.1:9").start();
    let slow: Vec<Client> = (0..40)
        .map(|number| {
            let mut client = Client::connect(gateway.admin_address());
            match number % 3 {
                0 => client.send("GET /sta"),
                // Answers that nobody reads.
                1 => client.send("GET /status HTTP/1.1\r\nHost: a\r\n\r\n".repeat(200)),
                _ => {
                    client.send("POST /status HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx")
                }
            };
            client
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(gateway.admin("/status").status, 200);
    }
    drop(slow);
}

/// A plugin that is missing at the start: its routes answer 503, the others serve, and `/readyz` says no until everything
/// could be served once.
#[test]
fn readiness() {
    for readiness in ["normal", "strict"] {
        let upstream = Upstream::echo();
        let text = format!(
            "\
readiness: {readiness}
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: up, upstream: up}}]
routes:
  - {{name: bare, service: up, paths: [/bare]}}
  - {{name: stamped, service: up, paths: [/stamped], plugins: [{{name: stamp, on_error: open}}]}}
"
        );
        let gateway = Gateway::with(&text).set("up", upstream.address()).start();
        let ready = gateway.admin("/readyz");
        assert_eq!(ready.status, 503);
        assert_eq!(ready.json()["ready"], false);
        assert!(
            ready.json()["degraded"][0]
                .as_str()
                .unwrap()
                .contains("stamp"),
            "{ready:?}"
        );
        assert_eq!(gateway.admin("/healthz").status, 200);
        assert_eq!(gateway.get("/bare").status, 200);
        let answer = gateway.get("/stamped");
        assert_eq!(answer.status, 503);
        assert!(
            !answer.text().contains("stamp"),
            "no internals: {}",
            answer.text()
        );
        let routes = gateway.admin("/routes").json();
        assert!(routes["routes"][1]["unavailable"].is_string(), "{routes}");

        let bytes = std::fs::read(artifacts::plugin("stamp")).unwrap();
        gateway.plugins().rename(&bytes, "libstamp.so");
        eventually!(gateway.admin("/readyz").status == 200);
        assert_eq!(gateway.get("/stamped").status, 200);
        assert_eq!(gateway.status()["degraded"], Value::Array(Vec::new()));
        // The file goes, the image stays: still everything can be served.
        gateway.plugins().remove("libstamp.so");
        gateway.wait_for_status("a note about the missing file", |status| {
            status["notes"]
                .as_array()
                .is_some_and(|notes| !notes.is_empty())
        });
        assert_eq!(gateway.admin("/readyz").status, 200);
        assert_eq!(gateway.get("/stamped").status, 200);
    }
}
