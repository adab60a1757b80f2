//! The floor: the least a proxy made of hyper can cost. The gateway is measured against it.
//!
//! One current-thread runtime per worker, its own SO_REUSEPORT listener, its own upstream connections used again and
//! again. No routing, no limits, no time-outs, no header work beyond what hyper itself does but one: a client's
//! `Connection` is its own and stays here.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::CONNECTION;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use swapgate_bench::{Arguments, Outcome, announce, bind, end_with_parent, run_workers};
use tokio::net::TcpStream;

type Answer = Response<Either<ReturningBody, Empty<Bytes>>>;

fn main() -> Outcome<()> {
    let mut arguments = Arguments::of_process();
    let upstream: SocketAddr = arguments.required("--upstream")?;
    let address = arguments
        .value("--listen")?
        .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
    let workers = arguments.value("--workers")?.unwrap_or(1);
    let announce_file: PathBuf = arguments.required("--announce")?;
    arguments.finish()?;

    let listeners = bind(address, workers)?;
    announce(&announce_file, listeners[0].local_addr()?)?;
    end_with_parent();
    run_workers(listeners, move || {
        let pool = Rc::new(Pool {
            upstream,
            idle: RefCell::default(),
        });
        async move |stream| serve(stream, &pool).await
    })
}

/// The upstream connections of one worker.
struct Pool {
    upstream: SocketAddr,
    idle: RefCell<Vec<SendRequest<Incoming>>>,
}

impl Pool {
    async fn take(&self) -> Outcome<SendRequest<Incoming>> {
        if let Some(sender) = self.take_idle() {
            return Ok(sender);
        }
        let stream = TcpStream::connect(self.upstream).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::task::spawn_local(connection);
        Ok(sender)
    }

    fn take_idle(&self) -> Option<SendRequest<Incoming>> {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|sender| !sender.is_closed());
        let ready = idle.iter().rposition(SendRequest::is_ready)?;
        Some(idle.swap_remove(ready))
    }
}

/// The body of an answer; the connection it came on goes back to the pool when it is dropped.
struct ReturningBody {
    body: Incoming,
    pool: Rc<Pool>,
    sender: Option<SendRequest<Incoming>>,
}

impl Body for ReturningBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for ReturningBody {
    fn drop(&mut self) {
        self.pool.idle.borrow_mut().extend(self.sender.take());
    }
}

async fn serve(stream: TcpStream, pool: &Rc<Pool>) {
    let service = service_fn(|request| {
        let pool = Rc::clone(pool);
        async move {
            Ok::<_, Infallible>(
                forward(request, pool)
                    .await
                    .unwrap_or_else(|_| bad_gateway()),
            )
        }
    });
    // A client that goes away is the end of its connection and nothing else.
    let _ = Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn forward(mut request: Request<Incoming>, pool: Rc<Pool>) -> Outcome<Answer> {
    // Passed on, a `close` would end the upstream connection after every request.
    request.headers_mut().remove(CONNECTION);
    let mut sender = pool.take().await?;
    let answer = sender.send_request(request).await?;
    Ok(answer.map(|body| {
        Either::Left(ReturningBody {
            body,
            pool,
            sender: Some(sender),
        })
    }))
}

fn bad_gateway() -> Answer {
    let mut answer = Response::new(Either::Right(Empty::new()));
    *answer.status_mut() = StatusCode::BAD_GATEWAY;
    answer
}
