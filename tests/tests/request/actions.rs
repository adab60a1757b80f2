//! What a route does with a request: rewritten paths, redirects, answers of its own, limits of its own.

use std::sync::{Arc, Condvar, Mutex};

use swapgate_tests::{Gateway, Response, Upstream};

const BASE: &str = "\
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: s, upstream: up}]
routes:
";

fn gateway(upstream: &Upstream, routes: &str) -> Gateway {
    Gateway::with(&format!("{BASE}{routes}"))
        .set("up", upstream.address())
        .plugin("headers")
        .start()
}

#[track_caller]
fn ask(gateway: &Gateway, method: &str, target: &str, headers: &str) -> Response {
    let end = if headers.contains("\r\n\r\n") {
        ""
    } else {
        "\r\n"
    };
    let request = format!("{method} {target} HTTP/1.1\r\nHost: A.test:80\r\n{headers}{end}");
    gateway
        .client()
        .send(request)
        .read_response(method)
        .unwrap()
}

#[test]
fn a_path_is_rewritten() {
    let upstream = Upstream::echo();
    let gateway = gateway(
        &upstream,
        "  - {name: id, service: s, paths: [\"/users/{id}\"], rewrite_path: \"/v2/u-{id}{$rest}\"}
  - {name: add, service: s, paths: [/add], rewrite_path: \"/api{$path}\"}
  - {name: rest, service: s, paths: [/rest], rewrite_path: \"{$rest}\"}
  - {name: regex, service: s, paths: [\"~/files/(?<dir>[a-z]+)/(?<file>[^/]+)$\"], rewrite_path: \"/{file}/of/{dir}\"}
  - {name: half, service: s, paths: [\"~/ha(?<x>.*)$\"], rewrite_path: \"/{x}\"}
  - {name: cut, service: s, paths: [\"~/cut[0-9]\"], strip_path: true}
",
    );
    for (path, target) in [
        ("/users/7?a=b", "/v2/u-7?a=b"),
        ("/users/7/orders/", "/v2/u-7/orders/"),
        ("/users/%7euser", "/v2/u-~user"),
        ("/add/it", "/api/add/it"),
        ("/rest/x", "/x"),
        ("/rest", "/"),
        ("/files/a/b.txt?c", "/b.txt/of/a?c"),
        ("/hat", "/t"),
        ("/cut7/x", "/x"),
        ("/cut77", "/7"),
        ("/cut7", "/"),
    ] {
        assert_eq!(ask(&gateway, "GET", path, "").status, 200, "{path}");
        assert_eq!(upstream.take_requests().remove(0).target, target, "{path}");
    }
    // What was matched as a name must not be forwarded as a way up.
    for path in [
        "/ha..",
        "/ha.",
        "/ha../x",
        "/cut7../x",
        "/cut7./x",
        "/cut7..;x/",
    ] {
        let answer = ask(&gateway, "GET", path, "");
        assert_eq!(answer.status, 400, "{path}");
        assert!(
            answer.text().contains("the path cannot be rewritten"),
            "{answer:?}"
        );
    }
    assert_eq!(upstream.take_requests(), []);
}

#[test]
fn clients_are_sent_elsewhere() {
    let upstream = Upstream::echo();
    let gateway = gateway(
        &upstream,
        "  - {name: tls, paths: [/tls], redirect: {location: \"https://{$host}{$path}{$query}\"}, plugins: [{name: headers, config: {response: {set: {x-route: tls}}}}]}
  - {name: id, paths: [\"/old/{id}\"], methods: [GET], redirect: {location: \"/new/{id}{$rest}\", status: 302}}
  - {name: rest, paths: [/any], redirect: {location: \"{$rest}\", status: 307}}
",
    );
    for (target, status, location) in [
        ("/tls/x?y=z", 308, "https://a.test/tls/x?y=z"),
        ("/tls", 308, "https://a.test/tls"),
        ("/old/7/x", 302, "/new/7/x"),
        ("/any/x", 307, "/x"),
        // Two slashes would name a host.
        ("/any//evil.test/x", 307, "/evil.test/x"),
        ("/any////evil.test", 307, "/evil.test"),
    ] {
        let answer = ask(&gateway, "GET", target, "");
        assert_eq!(answer.status, status, "{target}");
        assert_eq!(answer.header("location").as_deref(), Some(location));
        assert_eq!(answer.body, b"");
    }
    let answer = ask(&gateway, "POST", "/tls", "Content-Length: 2\r\n\r\nhi");
    assert_eq!(answer.status, 308);
    assert_eq!(answer.header("x-route").as_deref(), Some("tls"));
    assert_eq!(
        ask(&gateway, "POST", "/old/7", "Content-Length: 0\r\n").status,
        405
    );
    let mut client = gateway.client();
    let old = client
        .send("GET /tls HTTP/1.0\r\n\r\n")
        .read_response("GET");
    assert_eq!(old.unwrap().status, 400, "there is no host to redirect to");
    assert_eq!(upstream.requests(), []);
}

#[test]
fn a_route_answers_itself() {
    let upstream = Upstream::echo();
    let gateway = gateway(
        &upstream,
        "  - {name: robots, paths: [\"=/robots.txt\"], respond: {body: \"User-agent: *\\n\", headers: {cache-control: max-age=60}}, plugins: [{name: headers, config: {response: {set: {x-route: robots}}}}]}
  - {name: gone, paths: [/gone], respond: {status: 410}}
  - {name: none, paths: [/none], respond: {status: 204}}
",
    );
    let answer = ask(&gateway, "GET", "/robots.txt", "");
    assert_eq!(
        (answer.status, answer.text()),
        (200, "User-agent: *\n".into())
    );
    for (name, value) in [
        ("cache-control", "max-age=60"),
        ("content-type", "text/plain; charset=utf-8"),
        ("content-length", "14"),
        ("x-route", "robots"),
    ] {
        assert_eq!(answer.header(name).as_deref(), Some(value), "{name}");
    }
    let head = ask(&gateway, "HEAD", "/robots.txt", "");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(ask(&gateway, "GET", "/gone/x", "").status, 410);
    assert_eq!(ask(&gateway, "GET", "/none", "").status, 204);
    assert_eq!(upstream.requests(), []);
}

#[test]
fn conditions_choose_among_routes() {
    let upstream = Upstream::echo();
    let route = |name: &str, more: &str| {
        format!("  - {{name: {name}, {more}, respond: {{body: {name}}}}}\n")
    };
    let routes = [
        route("plain", "paths: [/]"),
        route("header", "headers: {x-v: [a, \"~^b\"]}"),
        route("there", "headers: {x-there: []}"),
        route("query", "query: {q: \"1 2\"}"),
        route("cookie", "cookies: {c: \"~x\"}"),
        route("both", "headers: {x-v: a}, query: {q: \"1 2\"}"),
        route("far", "paths: [/net], addresses: [192.0.2.0/24]"),
        route("near", "paths: [/net], addresses: [127.0.0.0/8, \"::1\"]"),
        route(
            "post",
            "paths: [/m], methods: [POST], headers: {x-v: a}, priority: 1",
        ),
    ];
    let gateway = gateway(&upstream, &routes.concat());
    for (target, headers, name) in [
        ("/", "", "plain"),
        ("/", "X-V: a\r\n", "header"),
        ("/", "X-V: c\r\nX-V: bee\r\n", "header"),
        ("/", "X-V: ab\r\n", "plain"),
        ("/", "X-There: \r\n", "there"),
        ("/?q=1+2", "", "query"),
        ("/?x&q=3&%71=1%202", "", "query"),
        ("/?q=1", "", "plain"),
        ("/", "Cookie: a=b; c=yxy\r\n", "cookie"),
        ("/", "Cookie: a=c; d=x\r\n", "plain"),
        ("/?q=1+2", "X-V: a\r\n", "both"),
        ("/net", "", "near"),
        // Only a method that does not fit asks the next one here; nobody is told 405, for `plain` takes it.
        ("/m", "X-V: a\r\n", "header"),
    ] {
        let answer = ask(&gateway, "GET", target, headers);
        assert_eq!(answer.text(), name, "{target} {headers:?}");
    }
}

#[test]
fn limits_of_a_route_are_its_own() {
    let held = Arc::new((Mutex::new(true), Condvar::new()));
    let gate = Arc::clone(&held);
    let upstream = Upstream::answering(move |_| {
        let (held, changed) = &*gate;
        let guard = held.lock().unwrap();
        drop(changed.wait_while(guard, |held| *held).unwrap());
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()
    });
    let text = "\
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: s, upstream: up, timeouts: {response: 50ms}}]
routes:
  - {name: soon, service: s, paths: [/soon], body_bytes: 3}
  - {name: late, service: s, paths: [/late], timeouts: {response: 1h}}
";
    let gateway = Gateway::with(text).set("up", upstream.address()).start();
    let mut late = gateway.client();
    late.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\n");
    upstream.wait_for_requests(1);
    // What was asked later has run into its limit, and what was asked before it has not.
    assert_eq!(ask(&gateway, "GET", "/soon", "").status, 504);
    let answer = ask(&gateway, "POST", "/soon", "Content-Length: 4\r\n\r\nlong");
    assert_eq!(answer.status, 413);
    *held.0.lock().unwrap() = false;
    held.1.notify_all();
    assert_eq!(late.expect_response().status, 200);
}
