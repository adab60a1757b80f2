//! How a tunnel ends.

use swapgate_tests::wire::WireError;
use swapgate_tests::{Gateway, eventually};

use super::{CONFIG, OPEN, agreeing, echo, expect_echo, gateway, opened};

#[test]
fn the_client_may_end_its_direction_first() {
    let upstream = agreeing(|conversation| {
        let all = conversation.receive_to_end()?;
        conversation.send("after the end: ")?;
        conversation.send(all)
    });
    let gateway = gateway(&upstream);
    let mut client = opened(&gateway);
    client.send("one ").send("two");
    client.finish_sending();
    let rest = client.read_to_end().expect("an orderly end");
    assert_eq!(String::from_utf8_lossy(&rest), "after the end: one two");
    gateway.wait_for_metric(OPEN, 0.0);
}

#[test]
fn the_upstream_may_end_its_direction_first() {
    let (said, heard) = std::sync::mpsc::channel();
    let said = std::sync::Mutex::new(said);
    let upstream = agreeing(move |conversation| {
        conversation.send("all I say")?;
        conversation.finish_sending();
        let all = conversation.receive_to_end();
        let _ = said.lock().unwrap().send(all);
        Ok(())
    });
    let gateway = gateway(&upstream);
    let mut client = opened(&gateway);
    let all = client.read_to_end().expect("an orderly end");
    assert_eq!(String::from_utf8_lossy(&all), "all I say");
    assert_eq!(
        gateway.metrics().value(OPEN),
        Some(1.0),
        "half of it is open"
    );
    client.send("and I said more");
    client.finish_sending();
    let all = heard.recv().expect("it came").expect("an orderly end");
    assert_eq!(String::from_utf8_lossy(&all), "and I said more");
    gateway.wait_for_metric(OPEN, 0.0);
}

#[test]
fn a_client_that_is_gone_ends_the_upstreams_connection() {
    let upstream = agreeing(echo);
    let gateway = gateway(&upstream);
    let mut client = opened(&gateway);
    expect_echo(&mut client, "hello");
    drop(client);
    eventually!(upstream.open_connections() == 0);
    gateway.wait_for_metric(OPEN, 0.0);
    gateway.wait_for_metric("swapgate_connections{listener=\"public\"}", 0.0);
}

#[test]
fn a_reset_is_passed_on_as_a_reset() {
    let upstream = agreeing(|conversation| {
        conversation.receive_exact(1)?;
        conversation.reset_at_end();
        Ok(())
    });
    let by_upstream = gateway(&upstream);
    let mut client = opened(&by_upstream);
    client.send("x");
    let end = client.read_to_end();
    assert!(matches!(end, Err(WireError::Reset(_))), "{end:?}");

    let (said, heard) = std::sync::mpsc::channel();
    let said = std::sync::Mutex::new(said);
    let upstream = agreeing(move |conversation| {
        let _ = said.lock().unwrap().send(conversation.receive_to_end());
        Ok(())
    });
    let by_client = gateway(&upstream);
    opened(&by_client).reset();
    let end = heard.recv().expect("an end");
    assert!(matches!(end, Err(WireError::Reset(_))), "{end:?}");
    by_client.wait_for_metric(OPEN, 0.0);
}

#[test]
fn silence_of_both_sides_ends_it() {
    let upstream = agreeing(echo);
    let config = CONFIG.replace("upstream: up}", "upstream: up, timeouts: {tunnel: 300ms}}");
    let gateway = Gateway::with(&config).set("up", upstream.address()).start();
    let mut client = opened(&gateway);
    let begun = std::time::Instant::now();
    // Kept alive for longer than the limit by one side's words.
    while begun.elapsed() < std::time::Duration::from_millis(900) {
        expect_echo(&mut client, "still here");
    }
    assert_eq!(client.read_to_end().expect("an orderly end"), b"");
    eventually!(upstream.open_connections() == 0);
    gateway.wait_for_metric(OPEN, 0.0);
}
