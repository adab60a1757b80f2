//! One request on one connection, and its whole answer. Nothing of it outlives the future.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::rt::Executor;
use tokio::task::JoinSet;

use super::probe::Flaw;
use crate::health::outcome::CheckResult;
use crate::upstream::dial::Agreed;
use crate::wire::Wire;

/// How much of an answer is read.
const ANSWER_BYTES: usize = 64 * 1024;

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Empty where it was longer than anybody reads.
    pub(super) body: Bytes,
    pub(super) trailers: Option<HeaderMap>,
}

/// Asks.
///
/// # Errors
/// There is no answer.
pub(super) async fn ask(
    wire: Wire,
    agreed: Agreed,
    request: Request<Full<Bytes>>,
) -> Result<Answer, Flaw> {
    match agreed {
        Agreed::Http1 => {
            let (mut sender, connection) = http1::handshake(wire).await.map_err(broken)?;
            let answered = async { whole(sender.send_request(request).await).await };
            driven(connection, answered).await
        }
        Agreed::Http2 => {
            let tasks = Ending(Tasks::default());
            let handshake = http2::Builder::new(tasks.0.clone()).handshake(wire);
            let (mut sender, connection) = handshake.await.map_err(broken)?;
            let answered = async { whole(sender.send_request(request).await).await };
            driven(connection, answered).await
        }
    }
}

/// Waits for an answer while the connection does its work, whose end says nothing that the answer does not.
async fn driven<T>(connection: impl Future, answered: impl Future<Output = T>) -> T {
    let mut connection = pin!(connection);
    let mut answered = pin!(answered);
    let mut is_over = false;
    poll_fn(|cx| {
        is_over = is_over || connection.as_mut().poll(cx).is_ready();
        answered.as_mut().poll(cx)
    })
    .await
}

/// Reads an answer to its end; who breaks off is not well.
async fn whole(response: hyper::Result<Response<Incoming>>) -> Result<Answer, Flaw> {
    let (head, body) = response.map_err(broken)?.into_parts();
    let (body, trailers) = match Limited::new(body, ANSWER_BYTES).collect().await {
        Ok(collected) => {
            let trailers = collected.trailers().cloned();
            (collected.to_bytes(), trailers)
        }
        Err(error) if error.is::<LengthLimitError>() => (Bytes::new(), None),
        Err(error) => {
            let text = format!("its answer broke off: {}", innermost(&*error));
            return Err((CheckResult::Malformed, text));
        }
    };
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body,
        trailers,
    })
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "so that it can be named where an error is turned into another"
)]
fn broken(error: hyper::Error) -> Flaw {
    let text = if error.is_parse() {
        format!("its answer is malformed: {}", innermost(&error))
    } else {
        format!(
            "it ended the connection instead of answering: {}",
            innermost(&error)
        )
    };
    (CheckResult::Malformed, text)
}

/// What an error comes down to.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Tasks of a connection.
#[derive(Clone, Default)]
struct Tasks(Rc<RefCell<JoinSet<()>>>);

/// Ends them when it is dropped: they hold one another, and one waits for the other end, which may never answer.
struct Ending(Tasks);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.0.borrow_mut().abort_all();
    }
}

impl<F: Future + 'static> Executor<F> for Tasks {
    fn execute(&self, future: F) {
        self.0.borrow_mut().spawn_local(async move {
            future.await;
        });
    }
}
