//! HTTP/1.1: one connection, asked again and again.

use tokio::time::timeout;

use crate::answer::{Answer, receive};
use crate::asker::{Asker, Head, PATIENCE};
use crate::stream::Stream;

/// Asks over one connection until the load ends or the other side announces the end of the connection. What the
/// connection itself costs is part of the latency only where every request has one of its own.
pub(crate) async fn converse(asker: &mut Asker) -> Result<(), String> {
    let keepalive = asker.plan().keepalive;
    let mut due = None;
    if !keepalive {
        due = Some(asker.due().await?);
    }
    let mut stream = Stream::connect(asker.plan()).await?;
    asker.ledger().agreed(|| stream.agreed());
    while !asker.ledger().stopped() {
        let due = match due.take() {
            Some(due) => due,
            None => asker.due().await?,
        };
        asker.ledger().sent(due);
        let answer = timeout(PATIENCE, ask(asker, &mut stream))
            .await
            .map_err(|_| String::from("no answer in a minute"))??;
        let head = Head {
            status: answer.status,
            marks: answer.marks,
            refusal: answer.refusal,
        };
        asker.judge(head, answer.head, due);
        if !keepalive {
            return stream.ended().await;
        }
        if answer.close {
            asker.ledger().closed();
            return Ok(());
        }
    }
    Ok(())
}

async fn ask(asker: &mut Asker, stream: &mut Stream) -> Result<Answer, String> {
    asker.buffer.clear();
    let plan = &asker.shared.plan;
    let head = &plan.heads[asker.turn(plan.heads.len())];
    stream.send(&[head, &plan.body]).await?;
    receive(stream, &mut asker.buffer, plan.keeps_bodies()).await
}
