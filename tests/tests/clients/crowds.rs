//! Many requests at once over few connections.

use std::fs;

use swapgate_tests::h2load::h2load;
use swapgate_tests::{Nginx, Python, Upstream};

use crate::world::{HEADERS, KEY_AUTH, Way, World};

#[test]
fn httpx_sends_100_at_once_over_one_connection() {
    let upstream = Upstream::echo();
    let world = World::route(upstream.address(), &[KEY_AUTH]);
    for way in [Way::Http2, Way::Http2Tls] {
        let told = Python::script("httpx_client.py")
            .argument(world.url_of_address(way, ""))
            .arguments(&["crowd", "100", "--header", "x-api-key=key-of-alice", "--ca"])
            .argument(world.certificates.ca())
            .run()
            .success()
            .json();
        assert_eq!(told["right"], 100, "{way:?}: {told}");
        assert_eq!(told["versions"], serde_json::json!(["HTTP/2"]));
        assert_eq!(told["connections"], 1, "{way:?}");
        assert_eq!(upstream.take_requests().len(), 100);
    }
}

#[test]
fn h2load_gets_an_answer_to_each_of_10_000() {
    let nginx = Nginx::files_server();
    fs::write(nginx.files().join("a.txt"), "0123456789").unwrap();
    let world = World::route(nginx.address(), &[KEY_AUTH, HEADERS]);
    for (way, protocol) in [(Way::Http2, "h2c"), (Way::Http2Tls, "h2")] {
        let url = world.url_of_address(way, "/a.txt");
        let counted = h2load(&url, 10_000, 10, 10, &["-H", "x-api-key: key-of-alice"]);
        assert_eq!(counted.protocol, protocol, "{counted:?}");
        assert_eq!(
            (counted.succeeded, counted.failed),
            (10_000, 0),
            "{counted:?}"
        );
    }
    // Both listeners together, and what they made of it.
    world.gateway.wait_for_metric(
        "swapgate_requests_total{route=\"all\",service=\"up\",status=\"200\"}",
        20_000.0,
    );
}
