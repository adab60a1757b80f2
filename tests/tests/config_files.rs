//! Every file in `config/` is served for real, with its addresses replaced: an example that does not work is worse than none.

use std::fs;

use swapgate_tests::gateway::Builder;
use swapgate_tests::{Gateway, Response, Upstream, artifacts};

const PLUGINS: [&str; 4] = ["key_auth", "headers", "rate_limit", "access_log"];

/// A gateway with this file of `config/`.
fn example(name: &str, upstream: &Upstream) -> Builder {
    let text = fs::read_to_string(artifacts::root().join("config").join(name)).unwrap();
    let target = upstream.address().to_string();
    let replaced = text
        .replace("0.0.0.0:8000", "127.0.0.1:0")
        .replace("127.0.0.1:8000", "127.0.0.1:0")
        .replace("127.0.0.1:8001", "127.0.0.1:0")
        .replace("127.0.0.1:9001", &target)
        .replace("127.0.0.1:9002", &target.replace("127.0.0.1", "127.0.0.2"));
    PLUGINS
        .iter()
        .fold(Gateway::with_whole(&replaced), |builder, plugin| {
            builder.plugin(plugin)
        })
}

fn ask(gateway: &Gateway, host: &str, path: &str, fields: &str) -> Response {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
    gateway.client().send(request).expect_response()
}

#[test]
fn every_file_serves() {
    let mut served = Vec::new();
    for entry in fs::read_dir(artifacts::root().join("config")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        // Those of packages lie in folders, and have cases of their own.
        if name.ends_with(".schema.json") || entry.path().is_dir() {
            continue;
        }
        let upstream = Upstream::echo();
        let gateway = example(&name, &upstream).start();
        let status = gateway.status();
        assert_eq!(status["ready"], true, "{name}: {status}");
        assert_eq!(status["degraded"], serde_json::json!([]), "{name}");
        for route in gateway.admin("/routes").json()["routes"]
            .as_array()
            .unwrap()
        {
            assert!(route["unavailable"].is_null(), "{name}: {route}");
        }
        served.push(name);
    }
    served.sort();
    assert_eq!(
        served,
        ["demo.yaml", "swapgate.yaml"],
        "each example has a case below"
    );
}

#[test]
fn the_demo() {
    let upstream = Upstream::echo();
    let gateway = example("demo.yaml", &upstream).start();
    for (path, fields) in [
        ("/users/7", ""),
        ("/users", ""),
        ("/users/7", "X-Api-Key: wrong\r\n"),
        (
            "/users/7",
            "X-Api-Key: demo-key-of-alice\r\nX-Api-Key: demo-key-of-alice\r\n",
        ),
        ("/%75sers/7", ""),
        ("/x/../users/7", ""),
    ] {
        let answer = ask(&gateway, "a.test", path, fields);
        assert_eq!(answer.status, 401, "{path} {fields}");
        assert!(answer.header("www-authenticate").is_some(), "{path}");
        assert_eq!(
            answer.header("x-served-by").as_deref(),
            Some("swapgate"),
            "{path}"
        );
    }
    assert_eq!(upstream.requests(), [], "nothing gets by the key");

    let answer = ask(
        &gateway,
        "a.test",
        "/users/7",
        "X-Api-Key: demo-key-of-alice\r\nX-Consumer: mallory\r\n",
    );
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-served-by").as_deref(), Some("swapgate"));
    assert!(answer.header("ratelimit").is_some());
    gateway.wait_for_log("127.0.0.1 alice \"GET /users/7\" 200 ");
    let request = upstream.take_requests().remove(0);
    assert_eq!(request.headers.all("x-consumer"), ["alice"]);
    assert_eq!(request.headers.all("x-user-id"), ["7"]);
    assert_eq!(
        request.headers.all("x-api-key"),
        [""; 0],
        "the key stays here"
    );

    let open = ask(&gateway, "a.test", "/else", "X-Api-Key: whatever\r\n");
    assert_eq!((open.status, open.header("x-served-by")), (200, None));
    assert_eq!(
        upstream.take_requests()[0].headers.all("x-api-key"),
        ["whatever"]
    );
}

#[test]
fn the_reference() {
    let upstream = Upstream::echo();
    let gateway = example("swapgate.yaml", &upstream).start();
    for host in ["api.example.com", "a.example.org", "a.b.example.org"] {
        let answer = ask(&gateway, host, "/users/7", "");
        assert_eq!(answer.status, 401, "{host}");
    }
    assert_eq!(ask(&gateway, "example.org", "/users/7", "").status, 404);
    assert_eq!(ask(&gateway, "api.example.com", "/other", "").status, 404);
    let post = "POST /users/7 HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(gateway.client().send(post).expect_response().status, 405);
    assert_eq!(upstream.requests(), []);
}
