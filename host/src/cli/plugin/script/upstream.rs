//! What stands behind the gateway: servers that answer as a script says and remember what came.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Collected};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::spawn_local;

use super::raw::Answer;

/// A request as it reached a server.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// One server.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    state: Rc<RefCell<State>>,
}

struct State {
    answer: Answer,
    received: Vec<Received>,
}

impl Server {
    /// Listens on a free port.
    pub(super) async fn start(answer: Answer) -> std::io::Result<Self> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = socket.local_addr()?;
        let received = Vec::new();
        let state = Rc::new(RefCell::new(State { answer, received }));
        spawn_local(serve(socket, Rc::clone(&state)));
        Ok(Self { address, state })
    }

    /// Answers like this from now on, and forgets what came.
    pub(super) fn answer(&self, answer: Answer) {
        let mut state = self.state.borrow_mut();
        state.answer = answer;
        state.received.clear();
    }

    /// Gives back what came.
    pub(super) fn received(&self) -> Vec<Received> {
        std::mem::take(&mut self.state.borrow_mut().received)
    }
}

async fn serve(socket: TcpListener, state: Rc<RefCell<State>>) {
    while let Ok((stream, _)) = socket.accept().await {
        let state = Rc::clone(&state);
        spawn_local(async move {
            let service = service_fn(move |request| answer(Rc::clone(&state), request));
            let connection = hyper::server::conn::http1::Builder::new();
            // A connection that breaks off shows at the client.
            let _ = connection
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    state: Rc<RefCell<State>>,
    request: Request<Incoming>,
) -> Result<Response<Pieces>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(Collected::to_bytes);
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let received = Received {
        method: head.method,
        path: path.to_owned(),
        headers: head.headers,
        body: body.unwrap_or_default(),
    };
    let scripted = {
        let mut state = state.borrow_mut();
        state.received.push(received);
        state.answer.clone()
    };
    tokio::time::sleep(Duration::from_millis(scripted.delay_ms)).await;
    let mut response = Response::new(Pieces::of(&scripted.body, &scripted.chunks));
    *response.status_mut() = StatusCode::from_u16(scripted.status).unwrap_or_default();
    let headers = scripted.headers.iter().filter_map(|line| header(line).ok());
    for (name, value) in headers {
        response.headers_mut().append(name, value);
    }
    Ok(response)
}

/// A header out of a line such as `name: value`.
pub(in crate::cli::plugin) fn header(line: &str) -> Result<(HeaderName, HeaderValue), String> {
    let wrong = || format!("'{line}' is not a header; write it as 'name: value'");
    let (name, value) = line.split_once(':').ok_or_else(wrong)?;
    let name = name.trim().parse().map_err(|_| wrong())?;
    let value = value.trim().parse().map_err(|_| wrong())?;
    Ok((name, value))
}

/// A body in pieces, or in one.
pub(super) struct Pieces {
    left: VecDeque<Bytes>,
    sized: bool,
}

impl Pieces {
    /// In pieces where there are any, without a length then.
    pub(super) fn of(body: &str, chunks: &[String]) -> Self {
        let pieces: Vec<&str> = if chunks.is_empty() {
            vec![body]
        } else {
            chunks.iter().map(String::as_str).collect()
        };
        let bytes = pieces
            .into_iter()
            .map(|one| Bytes::copy_from_slice(one.as_bytes()));
        Self {
            left: bytes.filter(|bytes| !bytes.is_empty()).collect(),
            sized: chunks.is_empty(),
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.left.pop_front().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.sized && self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        if self.sized {
            SizeHint::with_exact(self.left.iter().map(Bytes::len).sum::<usize>() as u64)
        } else {
            SizeHint::default()
        }
    }
}
