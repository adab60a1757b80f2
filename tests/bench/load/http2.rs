//! HTTP/2: one connection, and on it as many who ask as there are streams.

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::response::Parts;
use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::answer::{Marks, Refusal};
use crate::asker::{Asker, Head, PATIENCE, Shared};
use crate::stream::{END, Stream};

/// How much may be on its way to one stream, and to all.
const WINDOW: u32 = 1 << 20;

/// Asks over one connection until the load ends or the other side ends the connection.
pub(crate) async fn converse(shared: &Shared, streams: usize) -> Result<(), String> {
    let stream = Stream::connect(&shared.plan).await?;
    shared.ledger.agreed(|| stream.agreed());
    let (sender, connection) = Builder::new()
        .enable_push(false)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(16 * WINDOW)
        .handshake::<_, Bytes>(stream)
        .await
        .map_err(|error| format!("no HTTP/2: {error}"))?;
    let connection = spawn_local(connection);
    let lanes = (0..streams).map(|_| {
        let asker = Asker::new(shared);
        let sender = sender.clone();
        spawn_local(async move { keep_asking(asker?, sender).await })
    });
    let lanes: Vec<_> = lanes.collect();
    // The connection ends when nobody can ask any more.
    drop(sender);
    let mut talked = Ok(());
    for lane in lanes {
        talked = talked.and(lane.await.unwrap_or_else(|error| Err(error.to_string())));
    }
    if talked.is_ok() && !shared.ledger.stopped() {
        shared.ledger.closed();
    }
    match timeout(END, connection).await {
        Ok(_) => talked,
        Err(_) => talked.and(Err(String::from("an HTTP/2 connection did not end"))),
    }
}

/// Asks one request after the other. A stream that fails is a failed request, a connection that ends well is not.
async fn keep_asking(mut asker: Asker, mut sender: SendRequest<Bytes>) -> Result<(), String> {
    while !asker.ledger().stopped() {
        let due = asker.due().await?;
        sender = match sender.ready().await {
            Ok(sender) => sender,
            Err(error) if error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR) => {
                return Ok(());
            }
            Err(error) => return Err(format!("the HTTP/2 connection broke: {error}")),
        };
        asker.ledger().sent(due);
        match timeout(PATIENCE, ask(&mut asker, &mut sender)).await {
            Ok(Ok(head)) => {
                let (mut refusal, mut marks) = (Refusal::default(), Marks::default());
                for (name, value) in &head.headers {
                    refusal.field(name.as_str(), value.as_bytes());
                    marks.field(name.as_str(), value.as_bytes());
                }
                let head = Head {
                    status: head.status.as_u16(),
                    marks,
                    refusal,
                };
                asker.judge(head, 0, due);
            }
            Ok(Err(error)) => asker.ledger().failure(format!("a stream failed: {error}")),
            Err(_) => asker
                .ledger()
                .failure(String::from("no answer in a minute")),
        }
    }
    Ok(())
}

/// The head of the answer; what is needed of its body is in the buffer.
async fn ask(asker: &mut Asker, sender: &mut SendRequest<Bytes>) -> Result<Parts, h2::Error> {
    asker.buffer.clear();
    let plan = &asker.shared.plan;
    let request = plan.requests[asker.turn(plan.requests.len())].clone();
    let (answer, _) = sender.send_request(request, true)?;
    let (head, mut body) = answer.await?.into_parts();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        if plan.keeps_bodies() {
            asker.buffer.extend(piece);
        }
    }
    Ok(head)
}
