//! `POST /explain` and `swapgate explain`: which route takes a request, what lost and why, what runs, where it goes.

use std::process::{Command, Output};

use serde_json::{Value, json};
use swapgate_tests::{Client, Gateway, Response, Upstream, artifacts};

const CONFIG: &str = "\
workers: 1
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services:
  - {name: users, upstream: up, plugins: [{name: stamp, config: {}, priority: 5}]}
routes:
  - {name: site, service: users}
  - {name: user, service: users, hosts: [api.test], paths: [\"/users/{id}\"], strip_path: true, plugins: [{name: stamp}]}
  - {name: me, service: users, hosts: [api.test], paths: [\"~/(?<what>users)/me$\"], methods: [GET]}
  - {name: gone, service: users, hosts: [api.test], paths: [/gone], plugins: [{name: absent}]}
  - {name: shop, service: users, hosts: [shop.test], paths: [/]}
  - {name: old, hosts: [old.test], paths: [\"/o/{id}\"], redirect: {status: 308, location: \"https://new.test/n/{id}{$query}\"}}
  - {name: moved, service: users, hosts: [moved.test], paths: [\"/o/{id}\"], rewrite_path: \"/v2/{id}{$rest}\"}
plugins: [{name: key-auth, config: {header: x-api-key, keys: [{consumer: alice, key: s3cret-k3y}]}}]
";

fn started() -> (Upstream, Gateway) {
    let upstream = Upstream::echo();
    let gateway = Gateway::with(CONFIG)
        .set("up", upstream.address())
        .plugin("stamp")
        .plugin("key_auth")
        .start();
    (upstream, gateway)
}

#[track_caller]
fn post(gateway: &Gateway, body: &str) -> Response {
    let mut client = Client::connect(gateway.admin_address());
    client.send(format!(
        "POST /explain HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    client.read_response("POST").unwrap()
}

#[track_caller]
fn explained(gateway: &Gateway, question: &Value) -> Value {
    let answer = post(gateway, &question.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn command(arguments: &[&str]) -> Output {
    Command::new(artifacts::gateway())
        .arg("explain")
        .args(arguments)
        .output()
        .unwrap()
}

fn texts<'v>(list: &'v Value, key: &str) -> Vec<&'v str> {
    let entries = list.as_array().unwrap().iter();
    entries.map(|entry| entry[key].as_str().unwrap()).collect()
}

#[test]
fn a_running_gateway_explains() {
    let (_upstream, gateway) = started();
    let document = explained(
        &gateway,
        &json!({ "method": "POST", "url": "http://API.test/x/../users/%6de?a=1" }),
    );
    assert_eq!(document["generation"], 1);
    assert_eq!(
        document["request"],
        json!({ "method": "POST", "host": "api.test", "path": "/users/me", "query": "a=1", "client": "127.0.0.1" })
    );
    assert_eq!(document["outcome"], "route user takes it");
    assert_eq!(
        document["route"],
        json!({ "name": "user", "path": "/users/{id}", "parameters": [["id", "me"]] })
    );
    let considered = &document["considered"];
    assert_eq!(texts(considered, "route"), ["me", "user", "gone", "site"]);
    assert_eq!(considered[0]["why"], "the method is POST, it admits GET");
    assert_eq!(considered[2]["why"], "the path does not fit");
    assert_eq!(
        considered[3]["why"],
        "it fits too and comes after user: routes for api.test come before those for any host"
    );
    assert_eq!(
        document["other_hosts"],
        json!({ "count": 3, "names": ["shop", "old", "moved"] })
    );
    assert_eq!(document["forward"]["target"], "/?a=1");
    assert_eq!(document["forward"]["upstream"], "up");

    let phases = document["plugins"]["phases"].as_array().unwrap();
    let names: Vec<&str> = phases
        .iter()
        .map(|one| one["phase"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "rewrite",
            "access",
            "request_body",
            "header_filter",
            "body_filter",
            "trailers",
            "log",
            "request_end"
        ]
    );
    let access = &phases[1]["runs"];
    assert_eq!(texts(access, "plugin")[0], "key-auth");
    assert_eq!(access[0]["from"], "global");
    assert!(access[0]["priority"].is_i64() && access[0]["version"].is_string());
    let filter = &phases[3]["runs"];
    let stamp = filter
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["plugin"] == "stamp");
    assert_eq!(stamp.unwrap()["from"], "route user");
    assert_eq!(
        document["plugins"]["overridden"],
        json!([{ "plugin": "stamp", "from": "service users", "by": "route user" }])
    );
    assert!(!document.to_string().contains("s3cret"), "{document}");
}

#[test]
fn what_it_says_is_what_happens() {
    let (upstream, gateway) = started();
    let gone = explained(
        &gateway,
        &json!({ "method": "GET", "url": "http://api.test/gone" }),
    );
    assert_eq!(
        gone["outcome"],
        "route gone takes it, and answers 503: plugin absent of route gone is not there"
    );
    assert_eq!(gone["plugins"]["unavailable"][0]["plugin"], "absent");
    let ask = |target: &str, host: &str| {
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nX-Api-Key: s3cret-k3y\r\n\r\n");
        gateway.client().send(request).expect_response()
    };
    assert_eq!(ask("/gone", "api.test").status, 503);
    for target in ["/users/me", "/users/7/x?q=1", "/users/./8"] {
        let url = format!("http://api.test{target}");
        let document = explained(&gateway, &json!({ "method": "GET", "url": url }));
        assert_eq!(ask(target, "api.test").status, 200, "{target}");
        let sent = upstream.requests();
        assert_eq!(
            sent.last().unwrap().target,
            document["forward"]["target"].as_str().unwrap(),
            "{document}"
        );
    }
    let moved = explained(
        &gateway,
        &json!({ "method": "GET", "url": "http://moved.test/o/7/x" }),
    );
    assert_eq!(moved["forward"]["target"], "/v2/7/x");
    let old = explained(
        &gateway,
        &json!({ "method": "GET", "url": "http://old.test/o/7?q" }),
    );
    assert_eq!(
        old["outcome"],
        "route old takes it and answers 308 to https://new.test/n/7?q"
    );
    assert_eq!(old["answers"]["status"], 308);
    let me = explained(
        &gateway,
        &json!({ "method": "HEAD", "url": "/users/me", "headers": [["host", "api.test"]] }),
    );
    assert_eq!(me["route"]["name"], "me");
    assert_eq!(me["route"]["parameters"], json!([["what", "users"]]));
}

#[test]
fn a_question_that_is_none_gets_a_sentence() {
    let (_upstream, gateway) = started();
    for (body, part) in [
        ("", "not understood"),
        ("{\"method\": \"GET\"}", "missing field `url`"),
        (
            "{\"method\": \"GET\", \"url\": \"/\", \"path\": \"/\"}",
            "unknown field `path`",
        ),
        (
            "{\"method\": \"G T\", \"url\": \"/\"}",
            "'G T' is not a method",
        ),
        (
            "{\"method\": \"GET\", \"url\": \"users\"}",
            "'users' is not a URL",
        ),
        (
            "{\"method\": \"GET\", \"url\": \"ftp://a/\"}",
            "is not a URL",
        ),
        (
            "{\"method\": \"GET\", \"url\": \"/\", \"headers\": [[\"a b\", \"\"]]}",
            "is not a header",
        ),
        (
            "{\"method\": \"GET\", \"url\": \"/\", \"client\": \"1.2.3\"}",
            "is not the address of a client",
        ),
    ] {
        let answer = post(&gateway, body);
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        let text = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(
            text.contains(part) && !text.contains('\n'),
            "{body}: {text}"
        );
    }
    let large = format!(
        "{{\"method\": \"GET\", \"url\": \"/{}\"}}",
        "a".repeat(70_000)
    );
    assert_eq!(post(&gateway, &large).status, 413);
    assert_eq!(gateway.admin("/explain").status, 405);
    for (url, part) in [
        ("http://api.test/a%2fb", "ambiguous escape"),
        ("http://a_b!c@x/", "host is malformed"),
    ] {
        let document = explained(&gateway, &json!({ "method": "GET", "url": url }));
        let outcome = document["outcome"].as_str().unwrap();
        assert!(outcome.contains(part), "{outcome}");
    }
}

/// An explanation keeps nothing alive: a swap retires the image of before although somebody asked.
#[test]
fn a_view_pins_no_image() {
    let (_upstream, gateway) = started();
    let before = explained(
        &gateway,
        &json!({ "method": "GET", "url": "http://x.test/" }),
    );
    assert_eq!(before["plugins"]["phases"][3]["runs"][0]["plugin"], "stamp");
    let without = CONFIG
        .replace(", plugins: [{name: stamp, config: {}, priority: 5}]", "")
        .replace(", plugins: [{name: stamp}]", "")
        // A reload names no plugin that is not there.
        .replace(", plugins: [{name: absent}]", "");
    gateway.rename_config(&without);
    gateway.wait_for_generation_after(1);
    swapgate_tests::wait_for("the image to go", || {
        let view = gateway.plugins_view();
        let images = view["images"].as_array().unwrap();
        let held = |image: &&Value| {
            image["id"] == "stamp" && matches!(image["state"].as_str(), Some("active" | "draining"))
        };
        (!images.iter().any(|image| held(&image))).then_some(())
    });
    let after = explained(
        &gateway,
        &json!({ "method": "GET", "url": "http://x.test/" }),
    );
    assert_eq!(after["plugins"]["phases"][3]["runs"], json!([]));
}

#[test]
fn the_command() {
    let (_upstream, gateway) = started();
    let admin = gateway.admin_address().to_string();
    let asked = [
        "POST",
        "/users/7",
        "-H",
        "Host: api.test",
        "--client",
        "192.0.2.7",
        "--admin",
        &admin,
    ];
    let output = command(&asked);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for part in [
        "POST /users/7 for api.test from 192.0.2.7\nroute user takes it (generation 1)\n  id = 7\n",
        "> user (api.test /users/{id})",
        "it fits, and comes before all others that fit",
        "not asked, because they name other hosts: 3 (shop, old, moved)",
        "access        key-auth@",
        "overridden    stamp of service users, by that of route user",
        "  target    /\n",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    let output = command(&[&asked[..], &["--json"]].concat());
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["route"]["name"], "user");

    let output = command(&["GET", "nonsense", "--admin", &admin]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("'nonsense' is not a URL"), "{text}");
    let output = command(&["GET", "/", "--admin", &admin, "-H", "broken"]);
    assert_eq!(output.status.code(), Some(1));
    drop(gateway);
    let output = command(&["GET", "/", "--admin", &admin]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.starts_with("cannot connect to the admin listener"),
        "{text}"
    );
}

#[test]
fn a_file_is_explained_without_a_gateway() {
    let (_upstream, gateway) = started();
    let file = gateway.config_file();
    let file = file.to_str().unwrap();
    let asked = ["GET", "http://api.test/users/7", "--config", file];
    let output = command(&asked);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("route user takes it (the configuration file)"),
        "{text}"
    );
    assert!(
        text.contains("priority the plugin's own, route user"),
        "{text}"
    );

    let folder = gateway.plugins().path().to_str().unwrap().to_owned();
    let output = command(&[&asked[..], &["--plugins", &folder]].concat());
    assert_eq!(
        output.status.code(),
        Some(2),
        "the plugin absent is not there"
    );
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("absent"), "{text}");
    let whole = std::fs::read_to_string(file).unwrap();
    let good = gateway.folder().join("good.yaml");
    std::fs::write(&good, whole.replace(", plugins: [{name: absent}]", "")).unwrap();
    let asked = [
        "GET",
        "http://api.test/users/7",
        "--json",
        "--plugins",
        &folder,
        "--config",
    ];
    let output = command(&[&asked[..], &[good.to_str().unwrap()]].concat());
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let phases = &document["plugins"]["phases"];
    assert_eq!(phases[1]["runs"][0]["plugin"], "key-auth", "{document}");
    assert_eq!(phases[3]["phase"], "header_filter");
    assert!(
        texts(&phases[3]["runs"], "plugin").contains(&"stamp"),
        "{document}"
    );
}

#[test]
fn a_token_is_asked_for() {
    let text = "format: 1\nlisteners: [{name: public, address: \"127.0.0.1:0\"}]\nadmin: {address: \"127.0.0.1:0\", token: \"${env:TOKEN}\"}\n";
    let gateway = Gateway::with_whole(text)
        .environment("TOKEN", "s3cret-t0ken")
        .start();
    let admin = gateway.admin_address().to_string();
    let output = command(&["GET", "/", "--admin", &admin]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("asks for its token"), "{text}");
    let output = command(&["GET", "/", "--admin", &admin, "--token", "s3cret-t0ken"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("404: no route takes it"), "{text}");
}
