//! Connections that change over to another protocol: the bytes of the handshake, the bytes after it, how it ends, and what
//! plugins, reloads and a shutdown have to do with it.

mod bytes;
mod ends;
mod extended;
mod handshake;
mod life;
mod plugins;
mod websocket;

use swapgate_tests::conversation::Conversation;
use swapgate_tests::wire::WireError;
use swapgate_tests::{Client, Gateway, Upstream};

/// One service behind one route, which passes on WebSocket and a protocol that is made up; another route that passes on
/// nothing.
const CONFIG: &str = "\
workers: 1
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: up, upstream: up}]
routes:
  - {name: all, service: up, paths: [/], preserve_host: true, upgrades: [websocket, echo/1]}
  - {name: none, service: up, paths: [/none], upgrades: []}
";

/// Asks for the made-up protocol.
const ECHO: &str =
    "GET /x HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n";

/// Agrees to it.
const AGREED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n";

/// What a client of WebSocket says, up to the fields of its own.
const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// An upstream that agrees and then does `then`.
fn agreeing(
    then: impl Fn(&mut Conversation) -> Result<(), WireError> + Send + Sync + 'static,
) -> Upstream {
    Upstream::start(move |conversation| {
        loop {
            let request = conversation.receive()?;
            if request.headers.get("upgrade").is_some() {
                break;
            }
            conversation.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        }
        conversation.send(AGREED)?;
        then(conversation)
    })
}

/// Sends back what comes, byte by byte, to the end.
fn echo(conversation: &mut Conversation) -> Result<(), WireError> {
    loop {
        let byte = conversation.receive_exact(1)?;
        conversation.send(byte)?;
    }
}

fn gateway(upstream: &Upstream) -> Gateway {
    Gateway::with(CONFIG).set("up", upstream.address()).start()
}

/// A client that has changed over to the made-up protocol.
#[track_caller]
fn opened(gateway: &Gateway) -> Client {
    let mut client = gateway.client();
    client.send(ECHO);
    expect_agreed(&mut client);
    client
}

#[track_caller]
fn expect_agreed(client: &mut Client) {
    let head = client.read_head().expect("an answer");
    let head = String::from_utf8_lossy(&head);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}

/// Sends a few bytes and expects them back.
#[track_caller]
fn expect_echo(client: &mut Client, bytes: &str) {
    client.send(bytes);
    let back = client.read_exact(bytes.len()).expect("an echo");
    assert_eq!(String::from_utf8_lossy(&back), bytes);
}

/// How many tunnels the gateway says are open on the route `all`.
const OPEN: &str = "swapgate_tunnels{route=\"all\",service=\"up\"}";
