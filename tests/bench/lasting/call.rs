//! The call of gRPC, over HTTP/2 by prior knowledge: messages go both ways in one stream.

use std::time::Instant;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::{Builder, SendRequest};
use h2::{RecvStream, SendStream};
use http::{Request, Version};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::messages::Account;
use crate::{End, PATIENCE, Plan};

/// Sends messages and has each come back until the end; then it wants trailers.
pub(crate) async fn talk(plan: Plan, end: &End) -> (Value, Result<(), String>) {
    let mut account = Account::default();
    let ended = converse(plan, end, &mut account).await;
    (account.report(), ended)
}

async fn converse(plan: Plan, end: &End, account: &mut Account) -> Result<(), String> {
    let stream = TcpStream::connect(plan.target)
        .await
        .map_err(|error| format!("cannot connect: {error}"))?;
    let (sender, connection) = Builder::new()
        .handshake::<_, Bytes>(stream)
        .await
        .map_err(|error| format!("no HTTP/2: {error}"))?;
    // What ends the connection ends the stream as well, and is told there.
    let connection = spawn_local(async move { drop(connection.await) });
    let mut call = Call::open(plan, sender).await?;
    while !end.has_come() {
        let text = account.next();
        let sent = Instant::now();
        call.send(text.as_bytes())?;
        call.expect(text.as_bytes()).await?;
        account.came_back(sent);
        end.or(plan.every).await;
    }
    call.finish().await?;
    connection.abort();
    Ok(())
}

/// An open call.
struct Call {
    sending: SendStream<Bytes>,
    answer: RecvStream,
    came: BytesMut,
}

impl Call {
    async fn open(plan: Plan, sender: SendRequest<Bytes>) -> Result<Self, String> {
        let request = Request::post(format!("http://{}/calls.Calls/Echo", plan.target))
            .version(Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .map_err(|error| error.to_string())?;
        let mut sender = sender.ready().await.map_err(|error| error.to_string())?;
        let (answer, sending) = sender
            .send_request(request, false)
            .map_err(|error| error.to_string())?;
        let answer = timeout(PATIENCE, answer)
            .await
            .map_err(|_| String::from("no answer in a minute"))?
            .map_err(|error| format!("it was not answered: {error}"))?;
        if answer.status() != 200 {
            return Err(format!("it was answered with {}", answer.status()));
        }
        Ok(Self {
            sending,
            answer: answer.into_body(),
            came: BytesMut::new(),
        })
    }

    fn send(&mut self, message: &[u8]) -> Result<(), String> {
        let framed = framed(message);
        let sent = self.sending.send_data(framed, false);
        sent.map_err(|error| format!("cannot send: {error}"))
    }

    async fn expect(&mut self, message: &[u8]) -> Result<(), String> {
        let expected = framed(message);
        while self.came.len() < expected.len() {
            if !self.more().await? {
                return Err(String::from("it ended before its time"));
            }
        }
        let came = self.came.split_to(expected.len());
        if came == expected {
            return Ok(());
        }
        let [came, expected] = [came.freeze(), expected].map(|bytes| {
            let start = &bytes[..bytes.len().min(40)];
            String::from_utf8_lossy(start).into_owned()
        });
        Err(format!("{came:?} came in the place of {expected:?}"))
    }

    /// Takes in what came next; whether there was something.
    async fn more(&mut self) -> Result<bool, String> {
        let piece = timeout(PATIENCE, self.answer.data()).await;
        match piece.map_err(|_| String::from("nothing came for a minute"))? {
            None => Ok(false),
            Some(Err(error)) => Err(format!("it broke: {error}")),
            Some(Ok(piece)) => {
                let released = self.answer.flow_control().release_capacity(piece.len());
                released.map_err(|error| error.to_string())?;
                self.came.extend_from_slice(&piece);
                Ok(true)
            }
        }
    }

    async fn finish(mut self) -> Result<(), String> {
        let sent = self.sending.send_data(Bytes::new(), true);
        sent.map_err(|error| format!("cannot end: {error}"))?;
        while self.more().await? {}
        if !self.came.is_empty() {
            return Err(format!("{} bytes follow the last message", self.came.len()));
        }
        let trailers = self.answer.trailers().await;
        let trailers = trailers.map_err(|error| format!("no trailers: {error}"))?;
        let status = trailers.as_ref().and_then(|all| all.get("grpc-status"));
        match status {
            Some(status) if status == "0" => Ok(()),
            _ => Err(format!("it ended with the trailers {trailers:?}")),
        }
    }
}

/// A message as it travels: not compressed, its length, itself.
fn framed(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}
