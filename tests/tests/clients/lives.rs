//! 100 WebSockets and 100 streams of gRPC are open while a plugin in their chain is swapped and the configuration changes:
//! all of them live on, each with the version it began with.

use swapgate_tests::{Client, Patched, Python, Running, artifacts, eventually};

use crate::world::{KEY_AUTH, NAME, Way, World};

const CONFIGURATION: &str = "limits: {streams: 200}
upstreams:
  - {name: calls, protocol: h2, targets: [{address: \"@calls@\"}]}
  - {name: sockets, targets: [{address: \"@sockets@\"}]}
services: [{name: calls, upstream: calls}, {name: sockets, upstream: sockets}]
routes:
  - {name: calls, service: calls, paths: [/swapgate.test.Echo], plugins: [@key-auth@, {name: stamp}]}
  - {name: sockets, service: sockets, paths: [/ws], strip_path: true, plugins: [@key-auth@, {name: stamp}]}
";

fn stamp(text: &str) -> Vec<u8> {
    Patched::read(&artifacts::plugin("stamp"))
        .stamp(text)
        .bytes()
        .to_vec()
}

/// Opens 100 streams of gRPC on one connection.
fn calls(world: &World) -> Running {
    Python::script("grpc_client.py")
        .argument(world.address(Way::Http2Tls).to_string())
        .arguments(&["hold", "100", "--metadata", "x-api-key=key-of-alice"])
        .arguments(&["--name", NAME, "--ca"])
        .argument(world.certificates.ca())
        .start()
}

/// Opens 100 WebSockets.
fn sockets(world: &World) -> Running {
    Python::script("websocket_client.py")
        .argument(format!("wss://{}/ws/echo", world.address(Way::Http11Tls)))
        .arguments(&["hold", "100", "--header", "x-api-key=key-of-alice"])
        .arguments(&["--name", NAME, "--ca"])
        .argument(world.certificates.ca())
        .start()
}

/// The stamp on a new request; a WebSocket server refuses what is none, which is good enough.
fn stamp_of_now(world: &World) -> Option<String> {
    let mut client = Client::connect(world.address(Way::Http11));
    client.send("GET /ws/refuse HTTP/1.1\r\nhost: a\r\nx-api-key: key-of-alice\r\n\r\n");
    client.expect_response().header("x-stamp-response")
}

#[test]
fn go_on_through_swaps_and_reloads() {
    let grpc = Python::script("grpc_server.py").serve();
    let websocket = Python::script("websocket_server.py").serve();
    let world = World::with(CONFIGURATION)
        .set("calls", grpc.address())
        .set("sockets", websocket.address())
        .set("key-auth", KEY_AUTH)
        .plugin_bytes("libstamp.so", &stamp("first"))
        .start();
    let gateway = &world.gateway;
    let mut open = [calls(&world), sockets(&world)];
    for running in &open {
        assert_eq!(running.line(), "open");
    }
    for (round, text) in ["second", "third", "fourth"].into_iter().enumerate() {
        let before = gateway.generation();
        gateway.plugins().rename(&stamp(text), "libstamp.so");
        // One answer may come before the other worker has changed over, and before the generation is told.
        gateway.wait_for_generation_after(before);
        assert_eq!(stamp_of_now(&world).as_deref(), Some(text));
        all_answer(&mut open, "after a swap");
        let before = gateway.generation();
        let changed = world
            .text
            .replace("streams: 200", &format!("streams: {}", 201 + round));
        gateway.rename_whole_config(&changed);
        gateway.wait_for_generation_after(before);
        all_answer(&mut open, "after a reload");
    }
    assert_ne!(gateway.status()["draining"], serde_json::json!([]));
    let [calls, sockets] = open;
    let told = calls.finish().success().text();
    assert!(told.ends_with("{\"codes\": [\"OK\"]}\n"), "{told}");
    let told = sockets.finish().success().text();
    assert!(told.ends_with("{\"codes\": [1000]}\n"), "{told}");
    // With the last of them the generations that they held go.
    eventually!(gateway.status()["draining"] == serde_json::json!([]));
}

#[track_caller]
fn all_answer(open: &mut [Running], line: &str) {
    for running in open.iter_mut() {
        running.say(line);
    }
    for running in open.iter() {
        assert_eq!(running.line(), "answered", "{line}");
    }
}
