//! Server-sent events: each one arrives before the next one is made, because the server makes the next one only once the
//! client has acknowledged the last. Whoever held events back would wait for ever.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use swapgate_tests::child::TOOL_LIMIT;
use swapgate_tests::{Python, Received, Upstream};

use crate::world::{KEY_AUTH, WITH_KEY, Way, World};

/// How many events a stream has.
pub(crate) const COUNT: usize = 10;

/// How many events have been acknowledged.
#[derive(Default)]
struct Acknowledged {
    count: Mutex<usize>,
    changed: Condvar,
}

/// `/events` is the stream, and any request to `/ack/N` acknowledges event N. Everything else is answered by `further`.
pub(crate) fn upstream(further: impl Fn(&Received) -> Vec<u8> + Send + Sync + 'static) -> Upstream {
    let acknowledged = Arc::new(Acknowledged::default());
    Upstream::start(move |conversation| {
        loop {
            let request = conversation.receive()?;
            let target = request.target.split('?').next().unwrap_or_default();
            if let Some(number) = target.strip_prefix("/ack/") {
                acknowledged.note(number.parse().expect("a number"));
                conversation.send("HTTP/1.1 204 No Content\r\n\r\n")?;
            } else if target == "/events" {
                acknowledged.note(0);
                conversation.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\ntransfer-encoding: chunked\r\n\r\n")?;
                for number in 1..=COUNT {
                    let event = format!("data: {number}\n\n");
                    conversation.send(format!("{:x}\r\n{event}\r\n", event.len()))?;
                    acknowledged.wait_for(number);
                }
                conversation.send("0\r\n\r\n")?;
            } else {
                conversation.send(further(&request))?;
            }
        }
    })
}

impl Acknowledged {
    fn note(&self, number: usize) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) = number;
        self.changed.notify_all();
    }

    fn wait_for(&self, number: usize) {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .changed
            .wait_timeout_while(count, TOOL_LIMIT, |count| *count < number);
        drop(waited);
    }
}

fn nothing_else(_: &Received) -> Vec<u8> {
    b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec()
}

#[test]
fn reach_curl_one_by_one() {
    let upstream = upstream(nothing_else);
    // `pass` looks at bodies, and must not hold them back either.
    for plugins in [&[KEY_AUTH][..], &[KEY_AUTH, "{name: pass}"]] {
        let world = World::route(upstream.address(), plugins);
        for way in Way::MODERN {
            let stream = world
                .curl(way, "/events", &["--header", WITH_KEY])
                .streaming();
            for number in 1..=COUNT {
                assert_eq!(stream.line_after("data: "), number.to_string(), "{way:?}");
                let path = format!("/ack/{number}");
                let ack = world.curl(way, &path, &["--header", WITH_KEY]).success();
                assert_eq!(ack.status(), 204, "{way:?}");
            }
            let _ = stream.finish().success();
        }
    }
}

/// Stream and acknowledgements share one connection here.
#[test]
fn reach_httpx_one_by_one() {
    let upstream = upstream(nothing_else);
    let world = World::route(upstream.address(), &[KEY_AUTH]);
    for way in [Way::Http2, Way::Http2Tls] {
        let told = Python::script("httpx_client.py")
            .argument(world.url_of_address(way, ""))
            .arguments(&["events", "--header", "x-api-key=key-of-alice", "--ca"])
            .argument(world.certificates.ca())
            .run()
            .success()
            .json();
        let numbers: Vec<String> = (1..=COUNT).map(|number| number.to_string()).collect();
        assert_eq!(told["events"], serde_json::json!(numbers), "{way:?}");
        assert_eq!(told["versions"], serde_json::json!(["HTTP/2"]), "{way:?}");
        assert_eq!(told["connections"], 1, "{way:?}");
    }
}
