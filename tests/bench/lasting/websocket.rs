//! The WebSocket.

use std::time::Instant;

use serde_json::Value;
use swapgate_bench::websocket::{CLOSE, TEXT, accept, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::messages::Account;
use crate::{End, PATIENCE, Plan};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Sends messages and has each come back until the end, and says goodbye.
pub(crate) async fn talk(plan: Plan, end: &End) -> (Value, Result<(), String>) {
    let mut account = Account::default();
    let ended = converse(plan, end, &mut account).await;
    (account.report(), ended)
}

async fn converse(plan: Plan, end: &End, account: &mut Account) -> Result<(), String> {
    let mut stream = TcpStream::connect(plan.target)
        .await
        .map_err(|error| format!("cannot connect: {error}"))?;
    let ask = format!(
        "GET /websocket HTTP/1.1\r\nhost: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\n\r\n",
        plan.target
    );
    send(&mut stream, ask.as_bytes()).await?;
    opened(&mut stream).await?;
    while !end.has_come() {
        let text = account.next();
        let sent = Instant::now();
        send(&mut stream, &frame(TEXT, text.as_bytes(), Some(MASK))).await?;
        expect(&mut stream, &frame(TEXT, text.as_bytes(), None)).await?;
        account.came_back(sent);
        end.or(plan.every).await;
    }
    send(&mut stream, &frame(CLOSE, b"", Some(MASK))).await?;
    expect(&mut stream, &frame(CLOSE, b"", None)).await?;
    let rest = timeout(PATIENCE, stream.read(&mut [0; 1])).await;
    match rest {
        Ok(Ok(0)) => Ok(()),
        other => Err(format!("it did not end after its goodbye: {other:?}")),
    }
}

async fn send(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), String> {
    let sent = stream.write_all(bytes).await;
    sent.map_err(|error| format!("cannot send: {error}"))
}

/// Reads the head of the answer, byte by byte: what follows is no part of it.
async fn opened(stream: &mut TcpStream) -> Result<(), String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(receive::<1>(stream).await?);
    }
    let head = String::from_utf8_lossy(&head);
    if head.starts_with("HTTP/1.1 101 ") && head.contains(&accept(KEY.as_bytes())) {
        Ok(())
    } else {
        Err(format!("it was answered with {head:?}"))
    }
}

async fn receive<const N: usize>(stream: &mut TcpStream) -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    let read = timeout(PATIENCE, stream.read_exact(&mut bytes)).await;
    let read = read.map_err(|_| String::from("nothing came for a minute"))?;
    read.map_err(|error| format!("it broke: {error}"))?;
    Ok(bytes)
}

async fn expect(stream: &mut TcpStream, expected: &[u8]) -> Result<(), String> {
    let mut came = vec![0; expected.len()];
    let read = timeout(PATIENCE, stream.read_exact(&mut came)).await;
    let read = read.map_err(|_| String::from("nothing came for a minute"))?;
    read.map_err(|error| format!("it broke: {error}"))?;
    if came == expected {
        return Ok(());
    }
    let [came, expected] = [&came[..], expected].map(|bytes| {
        let start = &bytes[..bytes.len().min(40)];
        String::from_utf8_lossy(start).into_owned()
    });
    Err(format!("{came:?} came in the place of {expected:?}"))
}
