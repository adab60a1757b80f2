//! The download.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use swapgate_bench::pattern;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::timeout;

use crate::{End, PATIENCE, Plan};

/// Bytes read at a time.
const PIECE: usize = 64 << 10;
/// Room for bytes that nobody has read yet: without a bound the system would take in much of the whole.
const ROOM: u32 = 128 << 10;

/// Reads to the last byte, and no faster than it should.
pub(crate) async fn read(plan: Plan, end: &End) -> (Value, Result<(), String>) {
    let (mut read, begun) = (0, Instant::now());
    let ended = download(plan, end, &mut read).await;
    let seconds = begun.elapsed().as_secs_f64();
    (
        json!({"bytes": read, "of": plan.download, "seconds": seconds}),
        ended,
    )
}

async fn download(plan: Plan, end: &End, read: &mut u64) -> Result<(), String> {
    let socket = TcpSocket::new_v4().map_err(|error| error.to_string())?;
    socket
        .set_recv_buffer_size(ROOM)
        .map_err(|error| error.to_string())?;
    let mut stream = socket
        .connect(plan.target)
        .await
        .map_err(|error| format!("cannot connect: {error}"))?;
    let ask = format!(
        "GET /pattern/{} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
        plan.download, plan.target
    );
    let sent = stream.write_all(ask.as_bytes()).await;
    sent.map_err(|error| format!("cannot send: {error}"))?;
    let (mut buffer, begun) = (Vec::with_capacity(PIECE), Instant::now());
    let mut head = false;
    loop {
        let came = timeout(PATIENCE, stream.read_buf(&mut buffer)).await;
        let came = came.map_err(|_| String::from("nothing came for a minute"))?;
        let came = came.map_err(|error| format!("it broke after {read} bytes: {error}"))?;
        if came == 0 {
            break;
        }
        if !head && !take_head(&mut buffer, plan.download)? {
            continue;
        }
        head = true;
        if let Some(at) = pattern::first_difference(*read, &buffer) {
            return Err(format!("byte {at} is not what it should be"));
        }
        *read += buffer.len() as u64;
        buffer.clear();
        if *read < plan.download {
            end.or(due(plan, *read).saturating_sub(begun.elapsed()))
                .await;
        }
    }
    if *read == plan.download {
        Ok(())
    } else {
        Err(format!("it ended after {read} bytes of {}", plan.download))
    }
}

/// When so many bytes may have been read.
fn due(plan: Plan, read: u64) -> Duration {
    plan.time.mul_f64(read as f64 / plan.download as f64)
}

/// Takes the head of the answer off, once it is whole; it must promise every byte.
fn take_head(buffer: &mut Vec<u8>, bytes: u64) -> Result<bool, String> {
    let end = buffer.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(end) = end else {
        return Ok(false);
    };
    let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
    let length = format!("\r\ncontent-length: {bytes}\r\n");
    if !head.starts_with("http/1.1 200 ") || !format!("{head}\r\n").contains(&length) {
        return Err(format!("it was answered with {head:?}"));
    }
    buffer.drain(..end + 4);
    Ok(true)
}
