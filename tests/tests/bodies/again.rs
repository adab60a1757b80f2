//! Requests with bodies that plugins saw, sent again. The plugins see them once.

use std::sync::atomic::{AtomicBool, Ordering};

use swapgate_tests::Upstream;

use crate::world::{NONE, TRANSFORM, as_the_contract_says, chunks, counted, gateway_with, plugin};

#[test]
fn what_a_plugin_made_of_a_body_is_told_again() {
    let bad = AtomicBool::new(true);
    let upstream = Upstream::start(move |conversation| {
        loop {
            let request = conversation.receive()?;
            if bad.swap(false, Ordering::SeqCst) {
                return Ok(());
            }
            conversation.send(request.to_answer())?;
        }
    });
    let service = ", retries: {attempts: 1, backoff: 1ms}";
    let plugins = [plugin("replace", TRANSFORM, NONE)];
    let gateway = gateway_with(&upstream, "1MiB", ["", service], &plugins);
    let mut client = gateway.client();
    client.send("PUT /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    let answer = client
        .send(chunks("a secret, two secret", 3))
        .expect_response();
    assert_eq!(answer.status, 200, "{answer:?}");
    let [first, second] = upstream.take_requests().try_into().expect("two");
    assert_eq!(first.body, b"a [gone]!, two [gone]!");
    assert_eq!(first.body, second.body);
    counted(&gateway, "ends", 1.0);
    as_the_contract_says(&gateway);
}
