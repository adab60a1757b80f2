//! The upstream a plugin chooses.

use std::net::SocketAddr;

use swapgate_tests::{Gateway, Response, Upstream};

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
