//! The upstream a plugin chooses.

use std::net::SocketAddr;

use swapgate_tests::{Certificates, Gateway, Nginx, Response, Upstream};

use super::{ask, seen, waiter};

/// The result of the call, as the plugin left it in the request.
#[track_caller]
fn result(answer: &Response) -> i32 {
    let text = seen(answer, "x-result").expect("the plugin leaves it");
    text.parse().expect("a number")
}

#[test]
fn a_plugin_chooses_service_target_or_address() {
    let [first, second, other, free]: [Upstream; 4] = std::array::from_fn(|_| Upstream::echo());
    let forbidden = Upstream::echo();
    let gateway = Gateway::with(
        "\
workers: 1
upstream_allow: [\"@free@\"]
upstreams:
  - {name: two, targets: [{address: \"@first@\"}, {address: \"@second@\"}]}
  - {name: other, targets: [{address: \"@other@\"}]}
services: [{name: two, upstream: two}, {name: other, upstream: other}]
routes:
  - {name: all, service: two, plugins: [{name: waiter}]}
  - {name: own, paths: [/own], respond: {status: 204}, plugins: [{name: waiter}]}
",
    )
    .set("free", free.address())
    .set("first", first.address())
    .set("second", second.address())
    .set("other", other.address())
    .plugin_bytes("libwaiter.so", &waiter(&[]))
    .start();
    let choose = |kind: &str, value: &str| result(&ask(&gateway, &format!("{kind}:{value}")));
    let at = |address: SocketAddr| address.to_string();

    assert_eq!(choose("service", "other"), 0);
    assert_eq!(other.take_requests().len(), 1);
    for _ in 0..4 {
        assert_eq!(choose("target", &at(second.address())), 0);
        assert_eq!(choose("address", &at(free.address())), 0);
    }
    assert_eq!(second.take_requests().len(), 4);
    assert_eq!(free.take_requests().len(), 4);
    assert_eq!(free.connections(), 1, "its connections are kept");
    assert_eq!(first.take_requests().len(), 0);

    assert_eq!(choose("service", "nobody"), -4);
    assert_eq!(
        choose("target", &at(other.address())),
        -4,
        "of another service"
    );
    assert_eq!(choose("address", &at(forbidden.address())), -11);
    assert_eq!(choose("address", "localhost"), -3);
    let refused = first.take_requests().len() + second.take_requests().len();
    assert_eq!(refused, 4, "what was not chosen goes where the route says");
    assert_eq!(forbidden.connections(), 0);
    let own = "GET /own HTTP/1.1\r\nHost: test\r\nx-do: service:other\r\n\r\n";
    let answer = gateway.client().send(own).expect_response();
    assert_eq!(answer.status, 204);
    assert_eq!(other.take_requests().len(), 0);
}

/// What an address that a plugin chose is sent goes in clear, so it is none whose upstream says that TLS is spoken there.
#[test]
fn a_target_that_speaks_tls_is_no_address() {
    let [plain, secured]: [Upstream; 2] = std::array::from_fn(|_| Upstream::echo());
    let authority = Certificates::new();
    let gateway = Gateway::with(
        "\
workers: 1
upstream_allow: [\"127.0.0.1:*\"]
upstreams:
  - {name: plain, targets: [{address: \"@plain@\"}]}
  - {name: secured, tls: {ca: @ca@}, targets: [{address: \"@secured@\"}]}
services: [{name: plain, upstream: plain}, {name: secured, upstream: secured}]
routes: [{name: all, service: plain, plugins: [{name: waiter}]}]
",
    )
    .set("ca", &*authority.ca().display().to_string())
    .set("plain", plain.address())
    .set("secured", secured.address())
    .plugin_bytes("libwaiter.so", &waiter(&[]))
    .start();
    let choose = |address: String| result(&ask(&gateway, &format!("address:{address}")));
    assert_eq!(choose(plain.address().to_string()), 0);
    assert_eq!(choose(secured.address().to_string()), -11);
    let mapped = format!("[::ffff:127.0.0.1]:{}", secured.address().port());
    assert_eq!(choose(mapped), -11, "the same in other words");
    assert_eq!(secured.connections(), 0);
}

#[test]
fn a_target_in_the_file_system_is_chosen_by_its_path() {
    let nginx = Nginx::server(
        "listen unix:@folder@/up.sock; location / { return 200 \"{\\\"seen\\\":\\\"$http_x_result\\\"}\"; }",
    );
    let other = Upstream::echo();
    let path = nginx.folder().join("up.sock");
    let gateway = Gateway::with(
        "\
workers: 1
upstreams: [{name: up, targets: [{address: \"@other@\"}, {address: \"unix:@path@\"}]}]
services: [{name: up, upstream: up}]
routes: [{name: all, service: up, plugins: [{name: waiter}]}]
",
    )
    .set("other", other.address())
    .set("path", &*path.display().to_string())
    .plugin_bytes("libwaiter.so", &waiter(&[]))
    .start();
    for _ in 0..3 {
        let answer = ask(&gateway, &format!("target:unix:{}", path.display()));
        assert_eq!(answer.text(), "{\"seen\":\"0\"}");
    }
    assert_eq!(other.connections(), 0);
    let answer = ask(&gateway, "target:unix:/nowhere.sock");
    assert!(
        ["-4", "{\"seen\":\"-4\"}"]
            .iter()
            .any(|text| answer.text().contains(text))
    );
}
