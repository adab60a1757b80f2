//! The floor: the least a proxy made of hyper can cost. The gateway is measured against it.
//!
//! One current-thread runtime per worker, its own SO_REUSEPORT listener, its own upstream connections used again and
//! again. No routing, no limits, no time-outs, no header work beyond what hyper itself does but what it takes to be
//! understood: a client's `Connection` is its own and stays here, and a request of HTTP/2 becomes one of HTTP/1.1.
//!
//! With `--secure` it also listens with TLS, for HTTP/1.1 and HTTP/2. An upgrade goes to the upstream; what follows on both
//! connections is copied.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
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
use hyper::header::{CONNECTION, HOST, HeaderValue, UPGRADE};
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::TokioIo;
use swapgate_bench::{Arguments, Outcome, announce, bind, end_with_parent, run_workers, tls};
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

type Answer = Response<Either<ReturningBody, Empty<Bytes>>>;

fn main() -> Outcome<()> {
    let mut arguments = Arguments::of_process();
    let upstream: SocketAddr = arguments.required("--upstream")?;
    let address = arguments
        .value("--listen")?
        .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
    let workers = arguments.value("--workers")?.unwrap_or(1);
    let announce_file: PathBuf = arguments.required("--announce")?;
    let secure = match arguments.value::<SocketAddr>("--secure")? {
        Some(address) => {
            let certificate: PathBuf = arguments.required("--certificate")?;
            let key: PathBuf = arguments.required("--key")?;
            Some((bind(address, workers)?, tls::server(&certificate, &key)?))
        }
        None => None,
    };
    arguments.finish()?;

    let listeners = bind(address, workers)?;
    announce(&announce_file, listeners[0].local_addr()?)?;
    end_with_parent();
    // Threads of its own: nobody asks both at a time.
    let secure = secure.map(|(listeners, acceptor)| {
        std::thread::spawn(move || {
            run_workers(listeners, move || {
                let (pool, acceptor) = (Pool::new(upstream), acceptor.clone());
                async move |stream| serve_tls(stream, &acceptor, &pool).await
            })
        })
    });
    run_workers(listeners, move || {
        let pool = Pool::new(upstream);
        async move |stream| serve(stream, &pool).await
    })?;
    match secure.map(std::thread::JoinHandle::join) {
        Some(ended) => ended.map_err(|_| "the workers with TLS panicked")?,
        None => Ok(()),
    }
}

/// The upstream connections of one worker.
struct Pool {
    upstream: SocketAddr,
    idle: RefCell<Vec<SendRequest<Incoming>>>,
}

impl Pool {
    fn new(upstream: SocketAddr) -> Rc<Self> {
        Rc::new(Self {
            upstream,
            idle: RefCell::default(),
        })
    }

    async fn take(&self) -> Outcome<SendRequest<Incoming>> {
        if let Some(sender) = self.take_idle() {
            return Ok(sender);
        }
        let stream = TcpStream::connect(self.upstream).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::task::spawn_local(connection.with_upgrades());
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

async fn serve_tls(stream: TcpStream, acceptor: &TlsAcceptor, pool: &Rc<Pool>) {
    // A client that goes away is the end of its connection and nothing else.
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    if stream.get_ref().1.alpn_protocol() != Some(tls::H2) {
        return serve(stream, pool).await;
    }
    let service = service_fn(|request| answer(request, Rc::clone(pool)));
    let _ = http2::Builder::new(Local)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn serve<S>(stream: S, pool: &Rc<Pool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| answer(request, Rc::clone(pool)));
    // The same is true of clients without TLS.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn answer(request: Request<Incoming>, pool: Rc<Pool>) -> Result<Answer, Infallible> {
    let answered = forward(request, pool).await;
    Ok(answered.unwrap_or_else(|_| bad_gateway()))
}

async fn forward(mut request: Request<Incoming>, pool: Rc<Pool>) -> Outcome<Answer> {
    if request.headers().contains_key(UPGRADE) {
        return upgrade(request, &pool).await;
    }
    // Passed on, a `close` would end the upstream connection after every request.
    request.headers_mut().remove(CONNECTION);
    if request.version() == Version::HTTP_2 {
        make_http1(&mut request)?;
    }
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

/// The authority becomes `Host`, and the target a path.
fn make_http1(request: &mut Request<Incoming>) -> Outcome<()> {
    let uri = std::mem::take(request.uri_mut()).into_parts();
    if let Some(authority) = uri.authority {
        let host = HeaderValue::try_from(authority.as_str())?;
        request.headers_mut().insert(HOST, host);
    }
    *request.uri_mut() = uri.path_and_query.map(Uri::from).unwrap_or_default();
    *request.version_mut() = Version::HTTP_11;
    Ok(())
}

/// Both connections belong to each other from the answer on.
async fn upgrade(mut request: Request<Incoming>, pool: &Pool) -> Outcome<Answer> {
    let client = hyper::upgrade::on(&mut request);
    let mut answer = pool.take().await?.send_request(request).await?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err("the upstream does not want this upgrade".into());
    }
    let upstream = hyper::upgrade::on(&mut answer);
    tokio::task::spawn_local(async move {
        let (client, upstream) = (client.await?, upstream.await?);
        let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
        copy_bidirectional(&mut client, &mut upstream).await?;
        Outcome::Ok(())
    });
    Ok(answer.map(|_| Either::Right(Empty::new())))
}

/// Spawns on the thread it is on.
#[derive(Clone, Copy)]
struct Local;

impl<F: Future<Output: 'static> + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

fn bad_gateway() -> Answer {
    let mut answer = Response::new(Either::Right(Empty::new()));
    *answer.status_mut() = StatusCode::BAD_GATEWAY;
    answer
}
