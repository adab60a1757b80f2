//! gRPC of a real client with a real server: every kind of call, deadlines, cancellation, statuses, metadata, trailers.

use serde_json::{Value, json};
use swapgate_tests::Python;
use swapgate_tests::python::PythonServer;

use crate::world::{HEADERS, KEY_AUTH, NAME, Way, World};

/// gRPC is HTTP/2 alone.
const WAYS: [Way; 2] = [Way::Http2, Way::Http2Tls];

/// A server, and a gateway before it that asks for a key.
struct Calls {
    server: PythonServer,
    world: World,
}

impl Calls {
    fn start(plugins: &[&str]) -> Self {
        let server = Python::script("grpc_server.py").serve();
        let world = World::with(&configuration(plugins))
            .set("up", server.address())
            .start();
        Self { server, world }
    }

    fn client(&self, way: Way, arguments: &[&str]) -> Python {
        client(&self.world, way, arguments).arguments(&["--metadata", "x-api-key=key-of-alice"])
    }

    #[track_caller]
    fn told(&self, way: Way, arguments: &[&str]) -> Value {
        self.client(way, arguments).run().success().json()
    }
}

/// One route to one upstream that speaks HTTP/2, with these plugins. What a call takes at most is left to its deadline.
pub(crate) fn configuration(plugins: &[&str]) -> String {
    format!(
        "upstreams: [{{name: up, protocol: h2, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: echo, service: up, paths: [/swapgate.test.Echo], plugins: [{}]}}]
",
        plugins.join(", ")
    )
}

/// The client on its way to the gateway.
pub(crate) fn client(world: &World, way: Way, arguments: &[&str]) -> Python {
    let client = Python::script("grpc_client.py")
        .argument(world.address(way).to_string())
        .arguments(arguments);
    if !way.is_tls() {
        return client;
    }
    let client = client.argument("--ca").argument(world.certificates.ca());
    client.arguments(&["--name", NAME])
}

#[test]
fn calls_of_all_four_kinds() {
    let calls = Calls::start(&[KEY_AUTH]);
    for way in WAYS {
        let expected = json!({
            "unary": "hello",
            "split": ["0", "1", "2", "3"],
            "join": "a++c",
            // Each was answered before the next one was sent.
            "chat": ["question 0", "question 1", "question 2", "question 3", "question 4"],
        });
        assert_eq!(calls.told(way, &["kinds"]), expected, "{way:?}");
    }
}

#[test]
fn metadata_goes_both_ways_and_through_plugins() {
    let calls = Calls::start(&[KEY_AUTH, HEADERS]);
    for way in WAYS {
        let arguments = [
            "Unary",
            "hi",
            "--metadata",
            "x-mark=here",
            "--metadata",
            "x-twice=ä",
        ];
        let told = calls.told(way, &arguments[..4]);
        assert_eq!(
            (&told["code"], &told["reply"]),
            (&json!("OK"), &json!("hi")),
            "{told}"
        );
        assert_eq!(
            told["initial"]["x-initial"], "from the server",
            "{way:?}: {told}"
        );
        // What a plugin sets on an answer is initial metadata.
        assert_eq!(told["initial"]["x-signed"], "here", "{way:?}: {told}");
        assert_eq!(told["trailing"]["x-mark-back"], "here", "{way:?}: {told}");
        assert_eq!(
            told["trailing"]["x-consumer-back"], "alice",
            "{way:?}: {told}"
        );
        assert_eq!(told["trailing"].get("x-api-key-back"), None, "{told}");

        let told = calls.told(way, &["Seen"]);
        let seen: Value = serde_json::from_str(told["reply"].as_str().unwrap()).unwrap();
        let seen = seen.as_array().unwrap();
        assert!(seen.contains(&json!(["x-consumer", "alice"])), "{seen:?}");
        assert!(
            seen.contains(&json!(["x-forwarded-proto", way.scheme()])),
            "{seen:?}"
        );
    }
}

#[test]
fn statuses_of_the_server_come_with_their_details() {
    let calls = Calls::start(&[KEY_AUTH]);
    let binary: Vec<u32> = (0..256).collect();
    for way in WAYS {
        // With no message before it the status comes at once, and otherwise after the messages.
        for (code, name, after) in [
            (5, "NOT_FOUND", 0),
            (10, "ABORTED", 3),
            (8, "RESOURCE_EXHAUSTED", 1),
        ] {
            let told = calls.told(way, &["status", &code.to_string(), &after.to_string()]);
            let messages: Vec<String> = (0..after).map(|number| number.to_string()).collect();
            assert_eq!(told["messages"], json!(messages), "{way:?}: {told}");
            assert_eq!(told["code"], name, "{way:?}: {told}");
            assert_eq!(told["details"], "so it is: 100% ä", "{way:?}");
            assert_eq!(
                told["trailing"]["grpc-status-details-bin"],
                json!(binary),
                "{way:?}"
            );
        }
    }
}

#[test]
fn a_deadline_reaches_the_server_and_ends_the_call() {
    let calls = Calls::start(&[KEY_AUTH]);
    for way in WAYS {
        let told = calls.told(way, &["Left", "", "--timeout", "50"]);
        let left: f64 = told["reply"].as_str().unwrap().parse().unwrap();
        assert!(left > 0.0 && left <= 50.0, "{told}");
        let told = calls.told(way, &["Hang", "", "--timeout", "1"]);
        assert_eq!(told["code"], "DEADLINE_EXCEEDED", "{way:?}: {told}");
        assert_eq!(calls.server.line(), "waiting");
        assert_eq!(calls.server.line(), "cancelled", "{way:?}");
    }
}

#[test]
fn a_call_that_is_given_up_is_cancelled_at_the_server() {
    let calls = Calls::start(&[KEY_AUTH, "{name: pass}"]);
    for way in WAYS {
        let told = calls.told(way, &["cancel"]);
        assert_eq!(
            told,
            json!({"first": "first", "code": "CANCELLED"}),
            "{way:?}"
        );
        assert_eq!(calls.server.line(), "waiting");
        assert_eq!(calls.server.line(), "cancelled", "{way:?}");
        // Nobody else suffers: the connections on both sides are still good.
        assert_eq!(calls.told(way, &["Unary", "still"])["reply"], "still");
    }
}

#[test]
fn fifty_calls_are_open_at_once_on_one_connection() {
    let calls = Calls::start(&[KEY_AUTH, "{name: pass}"]);
    for way in WAYS {
        assert_eq!(
            calls.told(way, &["crowd", "50"]),
            json!({"right": 50}),
            "{way:?}"
        );
    }
}

#[test]
fn large_messages_come_whole() {
    let calls = Calls::start(&[KEY_AUTH]);
    for way in WAYS {
        let told = calls.told(way, &["large", "8000000", "4"]);
        assert_eq!(told, json!({"unary": true, "stream": 4}), "{way:?}");
    }
}
