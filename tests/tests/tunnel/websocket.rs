//! Real clients and servers of WebSocket.

use serde_json::{Value, json};
use swapgate_tests::Gateway;
use swapgate_tests::python::{Python, PythonServer};

use super::CONFIG;

fn server() -> PythonServer {
    Python::script("websocket_server.py").serve()
}

fn gateway(server: &PythonServer) -> Gateway {
    Gateway::with(CONFIG).set("up", server.address()).start()
}

fn talk(gateway: &Gateway, path: &str, words: &[&str]) -> Value {
    let url = format!("ws://{}{path}", gateway.address());
    let client = Python::script("websocket_client.py")
        .argument(url)
        .arguments(words);
    client.run().success().json()
}

#[test]
fn every_kind_of_message_passes() {
    let server = server();
    let gateway = gateway(&server);
    let told = talk(&gateway, "/echo", &["talk", "--subprotocol", "chat"]);
    let said = json!(["text ä", [0, 255], "", "in three parts"]);
    assert_eq!(told["said"], said);
    assert_eq!(told["large"], true);
    assert_eq!(told["subprotocol"], "chat");
    assert_eq!(told["code"], 4000);
    assert_eq!(server.line(), "open /echo");
    assert_eq!(server.line(), "closed 4000");
}

#[test]
fn extensions_are_between_the_two() {
    let server = server();
    let gateway = gateway(&server);
    let told = talk(&gateway, "/head", &["first"]);
    let headers = told["headers"].as_object().expect("an object");
    let extensions = headers["sec-websocket-extensions"].as_str();
    assert!(
        extensions.is_some_and(|text| text.contains("permessage-deflate")),
        "{told}"
    );
    assert!(told.to_string().contains("x-forwarded-for"), "{told}");
}

#[test]
fn codes_of_the_closing_handshake_pass() {
    let server = server();
    let gateway = gateway(&server);
    let told = talk(&gateway, "/close/4123", &["rest"]);
    assert_eq!(
        (&told["code"], &told["reason"]),
        (&json!(4123), &json!("as asked"))
    );
    let told = talk(&gateway, "/count/1000", &["rest"]);
    assert_eq!(told["code"], 1000);
    assert_eq!(told["messages"].as_array().map(Vec::len), Some(1000));
}

#[test]
fn a_refusal_of_the_server_reaches_the_client() {
    let server = server();
    let gateway = gateway(&server);
    let told = talk(&gateway, "/refuse", &["refused"]);
    assert_eq!(
        (&told["status"], &told["body"]),
        (&json!(403), &json!("not for you\n"))
    );
    assert_eq!(talk(&gateway, "/none/echo", &["refused"])["status"], 501);
}

#[test]
fn a_hundred_at_once_live_on_over_a_reload() {
    let server = server();
    let gateway = gateway(&server);
    let url = format!("ws://{}/echo", gateway.address());
    let client = Python::script("websocket_client.py").argument(url);
    let mut client = client.arguments(&["hold", "100"]).start();
    assert_eq!(client.line(), "open");
    for round in ["before", "between", "after"] {
        client.say(round);
        assert_eq!(client.line(), "answered");
        gateway.reload_published(&format!("{CONFIG}# {round}\n"));
    }
    let told = client.finish().success().text();
    assert_eq!(told.lines().last(), Some("{\"codes\": [1000]}"));
}
