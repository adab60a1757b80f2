//! A connection that takes next to nothing of its answer.

use std::net::IpAddr;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::AsyncReadExt;
use tokio::time::{MissedTickBehavior, interval};

use super::Shared;
use crate::stream::Stream;

/// What the system keeps of an answer that nobody reads; it makes more of so little.
const ROOM: u32 = 4096;

/// Asks, reads the head, and from there on a byte now and then.
pub(super) async fn live(shared: &Shared, from: IpAddr) -> Result<(), String> {
    let plan = &shared.plan;
    let mut stream = {
        let _door = shared.doors.acquire().await;
        let mut stream = Stream::connect_from(plan, from, Some(ROOM)).await?;
        stream.send(&[&plan.heads[0]]).await?;
        stream
    };
    head(&mut stream).await?;
    shared.roll.came();
    let mut turn = interval(plan.every);
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turn.tick().await;
        // What lies unread hides the end from whoever reads.
        if is_over(&stream) || stream.read_u8().await.is_err() {
            return Ok(());
        }
    }
}

/// Reads to the end of a head, byte by byte, for the rest is not to be taken.
async fn head(stream: &mut Stream) -> Result<(), String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await;
        head.push(byte.map_err(|error| format!("no whole head: {error}"))?);
    }
    if head.starts_with(b"HTTP/1.1 200 ") {
        Ok(())
    } else {
        let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        Err(String::from_utf8_lossy(line).into_owned())
    }
}

/// Whether the other side has ended the connection.
fn is_over(stream: &Stream) -> bool {
    let end = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
    let mut asked = [PollFd::new(stream.tcp(), end)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut asked, Some(&now)).is_err() || asked[0].revents().intersects(end)
}
