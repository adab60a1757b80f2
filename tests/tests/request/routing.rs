//! Which route takes a request, and what the upstream then sees of it.

use swapgate_tests::{Gateway, Response, Upstream};

/// Every service leads to the same upstream under a path of its own name, which tells the routes apart.
const ROUTES: &str = "\
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: s, upstream: up}]
routes:
  - {name: site, service: s, paths: [/], plugins: [{name: headers, config: {response: {set: {x-route: site}}}}]}
  - {name: read, service: s, paths: [/things], methods: [GET], plugins: [{name: headers, config: {response: {set: {x-route: read}}}}]}
  - {name: write, service: s, hosts: [a.test], paths: [/things], methods: [PUT, DELETE], priority: 5, plugins: [{name: headers, config: {response: {set: {x-route: write}}}}]}
  - {name: first, service: s, hosts: [a.test], paths: [/p], priority: 9, plugins: [{name: headers, config: {response: {set: {x-route: first}}}}]}
  - {name: exact, service: s, hosts: [a.test], paths: [\"=/p/q\"], plugins: [{name: headers, config: {response: {set: {x-route: exact}}}}]}
  - {name: only, service: s, hosts: [b.test], paths: [/only], methods: [GET], plugins: [{name: headers, config: {response: {set: {x-route: only}}}}]}
";

fn ask(gateway: &Gateway, method: &str, host: &str, path: &str) -> Response {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n");
    gateway
        .client()
        .send(request)
        .read_response(method)
        .unwrap()
}

#[test]
fn the_best_route_that_admits_the_request() {
    let upstream = Upstream::echo();
    let gateway = Gateway::with(ROUTES)
        .set("up", upstream.address())
        .plugin("headers")
        .start();
    for (method, host, path, route) in [
        ("GET", "x.test", "/", "site"),
        ("GET", "x.test", "/things/1", "read"),
        // The method does not fit, so the next best is asked, across hosts too.
        ("POST", "x.test", "/things/1", "site"),
        ("PUT", "a.test", "/things/1", "write"),
        ("GET", "a.test", "/things/1", "read"),
        ("POST", "a.test", "/things/1", "site"),
        // Priority comes before exactness.
        ("GET", "a.test", "/p/q", "first"),
        ("GET", "x.test", "/p/q", "site"),
        ("HEAD", "x.test", "/things/1", "read"),
        ("GET", "B.TEST:80", "/only", "only"),
        ("POST", "b.test", "/only", "site"),
    ] {
        let answer = ask(&gateway, method, host, path);
        let got = answer.header("x-route");
        assert_eq!(
            got.as_deref(),
            Some(route),
            "{method} {host} {path}: {answer:?}"
        );
    }
}

#[test]
fn methods_that_nobody_admits() {
    let upstream = Upstream::echo();
    let text = "\
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: s, upstream: up}]
routes:
  - {name: read, service: s, paths: [/things], methods: [GET]}
  - {name: write, service: s, hosts: [a.test], paths: [/things], methods: [PUT]}
";
    let gateway = Gateway::with(text).set("up", upstream.address()).start();
    for (host, allowed) in [
        ("a.test", &["GET", "HEAD", "PUT"][..]),
        ("x.test", &["GET", "HEAD"]),
    ] {
        for method in ["POST", "OPTIONS", "get", "PATCH"] {
            let answer = ask(&gateway, method, host, "/things/7");
            assert_eq!(answer.status, 405, "{method} {host}");
            let allow = answer.header("allow").expect("RFC 9110, 15.5.6");
            let mut names: Vec<&str> = allow.split(',').map(str::trim).collect();
            names.sort_unstable();
            assert_eq!(names, allowed, "{host}");
        }
        assert_eq!(ask(&gateway, "POST", host, "/thing").status, 404);
    }
    assert_eq!(upstream.requests(), []);
    let head = ask(&gateway, "HEAD", "x.test", "/things/7");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(upstream.take_requests()[0].method, "HEAD");
}

#[test]
fn what_the_upstream_sees() {
    let upstream = Upstream::echo();
    let address = upstream.address().to_string();
    let text = "\
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: s, upstream: up}]
routes:
  - {name: whole, service: s, paths: [/whole]}
  - {name: stripped, service: s, paths: [/cut/off], strip_path: true, preserve_host: true}
";
    let gateway = Gateway::with(text).set("up", upstream.address()).start();
    for (path, target, host) in [
        ("/whole/x?a=b", "/whole/x?a=b", address.as_str()),
        ("/cut/off/x/y?a=b", "/x/y?a=b", "a.test"),
        ("/cut/off", "/", "a.test"),
        ("/cut/off?q", "/?q", "a.test"),
        ("/cut/off/", "/", "a.test"),
        ("/cut/./x/../off//y", "//y", "a.test"),
    ] {
        assert_eq!(ask(&gateway, "GET", "a.test", path).status, 200, "{path}");
        let request = upstream.take_requests().remove(0);
        assert_eq!(request.target, target, "{path}");
        assert_eq!(request.headers.get("host").as_deref(), Some(host), "{path}");
    }
}
