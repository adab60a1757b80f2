//! WebSockets of a real client to a real server, and what plugins do to their handshake.

use std::path::Path;

use serde_json::{Value, json};
use swapgate_tests::Python;
use swapgate_tests::python::PythonServer;

use crate::world::{HEADERS, KEY_AUTH, NAME, Way, World};

const WITH_KEY: &str = "x-api-key=key-of-alice";

/// The Python client speaks HTTP/1.1; over HTTP/2 the browser comes.
const WAYS: [Way; 2] = [Way::Http11, Way::Http11Tls];

struct Sockets {
    server: PythonServer,
    world: World,
}

impl Sockets {
    fn start() -> Self {
        let server = Python::script("websocket_server.py").serve();
        let world = World::route(server.address(), &[KEY_AUTH, HEADERS]);
        Self { server, world }
    }

    fn client(&self, way: Way, path: &str, arguments: &[&str]) -> Python {
        let scheme = if way.is_tls() { "wss" } else { "ws" };
        let url = format!("{scheme}://{}{path}", self.world.address(way));
        let client = Python::script("websocket_client.py")
            .argument(url)
            .arguments(arguments);
        if !way.is_tls() {
            return client;
        }
        let ca: &Path = &self.world.certificates.ca();
        client
            .argument("--ca")
            .argument(ca)
            .arguments(&["--name", NAME])
    }

    fn told(&self, way: Way, path: &str, arguments: &[&str]) -> Value {
        self.client(way, path, arguments).run().success().json()
    }
}

#[test]
fn talk_and_close_as_they_would_without_a_gateway() {
    let sockets = Sockets::start();
    for way in WAYS {
        let told = sockets.told(
            way,
            "/echo",
            &[
                "talk",
                "--header",
                WITH_KEY,
                "--subprotocol",
                "other",
                "--subprotocol",
                "chat",
            ],
        );
        let expected = json!({
            "said": ["text ä", [0, 255], "", "in three parts"],
            "large": true,
            "subprotocol": "chat",
            "code": 4000,
        });
        assert_eq!(told, expected, "{way:?}");
        assert_eq!(sockets.server.line(), "open /echo");
        assert_eq!(sockets.server.line(), "closed 4000");

        let told = sockets.told(way, "/count/3", &["rest", "--header", WITH_KEY]);
        assert_eq!(
            told,
            json!({"messages": ["0", "1", "2"], "code": 1000, "reason": ""})
        );
        let told = sockets.told(way, "/close/4001", &["rest", "--header", WITH_KEY]);
        assert_eq!(
            told,
            json!({"messages": [], "code": 4001, "reason": "as asked"})
        );
        for line in [
            "open /count/3",
            "closed 1000",
            "open /close/4001",
            "closed 4001",
        ] {
            assert_eq!(sockets.server.line(), line);
        }
    }
}

#[test]
fn open_with_what_plugins_made_of_the_handshake() {
    let sockets = Sockets::start();
    for way in WAYS {
        let arguments = ["first", "--header", WITH_KEY, "--header", "x-mark=here"];
        let told = sockets.told(way, "/head?a=b", &arguments);
        assert_eq!(told["message"]["target"], "/head?a=b");
        let headers = told["message"]["headers"].as_array().expect("a list");
        assert!(headers.contains(&json!(["x-consumer", "alice"])), "{told}");
        assert!(
            headers.iter().all(|header| header[0] != "x-api-key"),
            "{told}"
        );
        assert_eq!(told["headers"]["x-signed"], "here", "{way:?}: {told}");
    }
}

#[test]
fn are_refused_by_plugins_and_by_the_server_in_their_own_words() {
    let sockets = Sockets::start();
    for way in WAYS {
        let refused = ["refused", "--header", "x-mark=here"];
        let told = sockets.told(way, "/echo", &refused);
        assert_eq!(
            (&told["status"], &told["headers"]["x-signed"]),
            (&json!(401), &json!("here"))
        );
        assert!(
            told["body"].as_str().unwrap().contains("\"status\":401"),
            "{told}"
        );
        let told = sockets.told(
            way,
            "/refuse",
            &[&refused[..], &["--header", WITH_KEY]].concat(),
        );
        assert_eq!(
            (&told["status"], &told["body"]),
            (&json!(403), &json!("not for you\n"))
        );
        assert_eq!(told["headers"]["x-signed"], "here");
    }
}

#[test]
fn are_open_in_great_numbers() {
    let sockets = Sockets::start();
    for way in WAYS {
        let told = sockets.told(way, "/echo", &["crowd", "100", "--header", WITH_KEY]);
        assert_eq!(told, json!({"right": 100}), "{way:?}");
    }
}
