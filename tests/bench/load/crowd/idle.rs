//! A connection that asks once, and is then idle.

use std::net::IpAddr;

use bytes::Bytes;
use h2::client::{SendRequest, handshake};
use tokio::io::AsyncReadExt;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::timeout;

use super::Shared;
use crate::answer::receive;
use crate::asker::PATIENCE;
use crate::plan::{Plan, Speech};
use crate::stream::Stream;

/// Asks, waits, and asks again when everybody does.
pub(super) async fn live(shared: &Shared, from: IpAddr) -> Result<(), String> {
    let mut again = shared.again.clone();
    let mut member = {
        let _door = shared.doors.acquire().await;
        let mut member = Member::connect(&shared.plan, from).await?;
        member.ask(&shared.plan).await?;
        member
    };
    shared.roll.came();
    loop {
        tokio::select! {
            () = member.ended() => return Ok(()),
            changed = again.changed() => if changed.is_err() {
                return Ok(());
            }
        }
        let _door = shared.doors.acquire().await;
        member.ask(&shared.plan).await?;
        shared.roll.asked();
    }
}

/// One of the crowd.
enum Member {
    Http1(Stream),
    Http2(SendRequest<Bytes>, JoinHandle<()>),
}

impl Member {
    async fn connect(plan: &Plan, from: IpAddr) -> Result<Self, String> {
        let stream = Stream::connect_from(plan, from, None).await?;
        if !matches!(plan.speech, Speech::Http2 { .. }) {
            return Ok(Self::Http1(stream));
        }
        let (sender, connection) = handshake(stream)
            .await
            .map_err(|error| format!("no HTTP/2: {error}"))?;
        // How it ends is seen by who asks.
        let running = spawn_local(async move { drop(connection.await) });
        Ok(Self::Http2(sender, running))
    }

    async fn ask(&mut self, plan: &Plan) -> Result<(), String> {
        let status = match self {
            Self::Http1(stream) => timeout(PATIENCE, ask1(stream, plan)).await,
            Self::Http2(sender, _) => timeout(PATIENCE, ask2(sender, plan)).await,
        };
        match status.map_err(|_| String::from("no answer in a minute"))?? {
            200 => Ok(()),
            status => Err(format!("status {status}")),
        }
    }

    /// Waits for the other side to end the connection.
    async fn ended(&mut self) {
        match self {
            // Whether it ended or broke, it is over.
            Self::Http1(stream) => drop(stream.read_u8().await),
            Self::Http2(_, running) => drop(running.await),
        }
    }
}

async fn ask1(stream: &mut Stream, plan: &Plan) -> Result<u16, String> {
    stream.send(&[&plan.heads[0]]).await?;
    let answer = receive(stream, &mut Vec::new(), false).await?;
    if answer.close {
        return Err(String::from("the connection is to end after its answer"));
    }
    Ok(answer.status)
}

async fn ask2(sender: &mut SendRequest<Bytes>, plan: &Plan) -> Result<u16, String> {
    let words = |error: h2::Error| error.to_string();
    let mut ready = sender.clone().ready().await.map_err(words)?;
    let (answer, _) = ready
        .send_request(plan.requests[0].clone(), true)
        .map_err(words)?;
    let (head, mut body) = answer.await.map_err(words)?.into_parts();
    while let Some(piece) = body.data().await {
        let piece = piece.map_err(words)?;
        let given = body.flow_control().release_capacity(piece.len());
        given.map_err(words)?;
    }
    Ok(head.status.as_u16())
}
