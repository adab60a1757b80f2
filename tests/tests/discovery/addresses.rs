//! Addresses of a name.

use swapgate_tests::{Dns, Gateway};

use crate::{Row, text, wait_for_addresses};

#[test]
fn every_address_of_a_name_is_a_target() {
    let row = Row::start(3);
    let dns = Dns::start(&[
        ("users.test", "127.0.0.1"),
        ("users.test", "127.0.0.3"),
        ("users.test", "127.0.0.2"),
    ]);
    let targets = format!("targets: [{{address: \"users.test:{}\"}}]", row.port());
    let gateway = Gateway::with(&text(&dns, &targets)).start();
    wait_for_addresses(&gateway, 3);
    let mut client = gateway.client();
    for _ in 0..12 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(row.asked(), [1, 2, 3]);
}
