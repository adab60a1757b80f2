//! WebSocket: a message is sent, and the next one when it has come back.

use httparse::{EMPTY_HEADER, Response, Status};
use swapgate_bench::websocket::{CLOSE, TEXT, accept, frame};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::asker::{Asker, PATIENCE};
use crate::stream::Stream;

/// Asked with every time; what it is answered with is compared.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// The same for every message, for the other side cannot know.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A message as it is sent and as it comes back.
#[derive(Debug)]
pub(crate) struct Message {
    sent: Vec<u8>,
    back: Vec<u8>,
}

impl Message {
    /// So many bytes of text.
    pub(crate) fn of(bytes: usize) -> Self {
        let text = vec![b'.'; bytes];
        Self {
            sent: frame(TEXT, &text, Some(MASK)),
            back: frame(TEXT, &text, None),
        }
    }
}

/// Opens a WebSocket and sends messages until the load ends.
pub(crate) async fn converse(asker: &mut Asker, message: &Message) -> Result<(), String> {
    let mut stream = Stream::connect(asker.plan()).await?;
    asker.ledger().agreed(|| stream.agreed());
    timeout(PATIENCE, open(asker, &mut stream))
        .await
        .map_err(|_| String::from("no WebSocket in a minute"))??;
    while !asker.ledger().stopped() {
        let due = asker.due().await?;
        asker.ledger().sent(due);
        let sent = timeout(PATIENCE, exchange(asker, &mut stream, message));
        sent.await
            .map_err(|_| String::from("no message in a minute"))??;
        asker.ledger().success(due);
    }
    let end = frame(CLOSE, b"", Some(MASK));
    stream.send(&[&end]).await?;
    asker.buffer.clear();
    receive(
        &mut stream,
        &mut asker.buffer,
        frame(CLOSE, b"", None).len(),
    )
    .await?;
    stream.ended().await
}

async fn open(asker: &mut Asker, stream: &mut Stream) -> Result<(), String> {
    asker.buffer.clear();
    let plan = &asker.shared.plan;
    let head = &plan.heads[asker.turn(plan.heads.len())];
    stream.send(&[head]).await?;
    loop {
        let more = asker.buffer.len() + 1;
        receive(stream, &mut asker.buffer, more).await?;
        if opened(&asker.buffer)? {
            return Ok(());
        }
    }
}

async fn exchange(asker: &mut Asker, stream: &mut Stream, message: &Message) -> Result<(), String> {
    asker.buffer.clear();
    stream.send(&[&message.sent]).await?;
    receive(stream, &mut asker.buffer, message.back.len()).await?;
    if asker.buffer == message.back {
        Ok(())
    } else {
        Err(String::from("another message came back than was sent"))
    }
}

/// Reads until there are so many bytes, or more.
async fn receive(stream: &mut Stream, buffer: &mut Vec<u8>, bytes: usize) -> Result<(), String> {
    while buffer.len() < bytes {
        match stream.read_buf(buffer).await {
            Ok(0) => return Err(String::from("the WebSocket ended")),
            Ok(_) => {}
            Err(error) => return Err(format!("cannot receive: {error}")),
        }
    }
    Ok(())
}

/// Whether the whole answer is there; it must be that to `KEY`.
fn opened(buffer: &[u8]) -> Result<bool, String> {
    let mut headers = [EMPTY_HEADER; 64];
    let mut answer = Response::new(&mut headers);
    let parsed = answer
        .parse(buffer)
        .map_err(|error| format!("the answer is not HTTP: {error}"))?;
    let Status::Complete(head) = parsed else {
        return Ok(false);
    };
    if answer.code != Some(101) {
        let code = answer.code.unwrap_or(0);
        return Err(format!("status {code} instead of a WebSocket"));
    }
    let accepted = answer
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("sec-websocket-accept"));
    if accepted.is_none_or(|header| header.value != accept(KEY.as_bytes()).as_bytes()) {
        return Err(String::from("the key of the WebSocket was not accepted"));
    }
    match buffer.len() - head {
        0 => Ok(true),
        extra => Err(format!("{extra} bytes follow the answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::opened;

    #[test]
    fn only_the_answer_to_the_key_opens() {
        let good = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        assert_eq!(opened(good.as_bytes()), Ok(true));
        assert_eq!(opened(&good.as_bytes()[..60]), Ok(false));
        assert!(opened(good.replace("s3pP", "s3pp").as_bytes()).is_err());
        assert!(opened(good.replace("101", "200").as_bytes()).is_err());
        assert!(opened(format!("{good}.").as_bytes()).is_err());
    }
}
