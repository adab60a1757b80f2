//! A connection that sends its head a byte now and then, and never ends it.

use std::net::IpAddr;

use tokio::io::AsyncReadExt;
use tokio::time::{MissedTickBehavior, interval};

use super::Shared;
use crate::stream::Stream;

/// How every head begins.
const BEGINNING: &[u8] = b"GET / HTTP/1.1\r\nhost: slow.test\r\nx-slow: ";

/// Begins a head and goes on with it until the other side has had enough.
pub(super) async fn live(shared: &Shared, from: IpAddr) -> Result<(), String> {
    let plan = &shared.plan;
    let mut stream = {
        let _door = shared.doors.acquire().await;
        let mut stream = Stream::connect_from(plan, from, None).await?;
        stream.send(&[BEGINNING]).await?;
        stream
    };
    shared.roll.came();
    let mut turn = interval(plan.every);
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = Vec::new();
    loop {
        tokio::select! {
            read = stream.read_buf(&mut told) => match read {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            },
            _ = turn.tick() => if stream.send(&[b"a"]).await.is_err() {
                break;
            },
        }
    }
    if let Some(line) = told.split(|byte| *byte == b'\r').next()
        && !line.is_empty()
    {
        shared.roll.told(String::from_utf8_lossy(line).into_owned());
    }
    Ok(())
}
