//! Requests under way are counted until they are over, however they end.

use std::collections::BTreeSet;

use swapgate_tests::{Gateway, Upstream, wait_until};

use super::{target_of, text};

/// A target that answers at once, never, or by changing over, as the path says.
fn target(number: usize) -> Upstream {
    Upstream::start(move |conversation| {
        loop {
            let request = conversation.receive()?;
            match request.target.as_str() {
                "/never" => {
                    conversation.until_closed();
                    return Ok(());
                }
                "/tunnel" => {
                    let agreed = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
                    conversation.send(agreed)?;
                    conversation.until_closed();
                    return Ok(());
                }
                _ => conversation.send(format!(
                    "HTTP/1.1 200 OK\r\nx-target: {number}\r\ncontent-length: 0\r\n\r\n"
                ))?,
            }
        }
    })
}

/// Who answers the next few requests.
fn serving(gateway: &Gateway) -> BTreeSet<usize> {
    let mut client = gateway.client();
    (0..6).map(|_| target_of(&client.get("/"))).collect()
}

#[test]
fn who_left_and_who_changed_over_count_as_long_as_they_are_there() {
    let targets = [target(0), target(1)];
    let [one, other] = &targets;
    let entries = format!(
        "{{address: \"{}\"}}, {{address: \"{}\"}}",
        one.address(),
        other.address()
    );
    let text = text("algorithm: least-requests", &entries).replace("workers: 2", "workers: 1");
    let gateway = Gateway::with(&text).start();
    let requests = [
        "GET /never HTTP/1.1\r\nHost: test\r\n\r\n",
        "GET /tunnel HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    ];
    for request in requests {
        let both = BTreeSet::from([0, 1]);
        wait_until("both to be idle", || serving(&gateway) == both);
        let arrived = || {
            targets
                .iter()
                .map(|target| target.requests().len())
                .sum::<usize>()
        };
        let before = arrived();
        let mut client = gateway.client();
        client.send(request);
        wait_until("the request at a target", || arrived() > before);
        assert_eq!(
            serving(&gateway).len(),
            1,
            "one of them has something to do"
        );
        // The client leaves, and nothing of it is left.
        client.reset();
        wait_until("both to be idle", || serving(&gateway) == both);
    }
}
