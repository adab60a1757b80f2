//! The upstream of the demo, the soaks and the load comparison.
//!
//! It answers every request with the same small text, `/bytes/N` with as many bytes, `/pattern/N` with as many that tell
//! where they stand, and `/echo` (with `--echo` every path) with what it saw of the request as JSON. Bodies of requests are
//! read to their end before the answer. A request for a WebSocket gets one, which sends every message back; so does a call of
//! gRPC, which ends well.
//!
//! With `--h2` it speaks HTTP/2 by prior knowledge and nothing else.
//!
//! With `--slots N` it answers so many requests at once, each after `--work-us T` microseconds, and has all others wait in a
//! queue without end; `/count` is answered at once and tells how many there were ([`slots`]).
#![forbid(unsafe_code)]

mod reply;
mod slots;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::ParseIntError;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE,
};
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use swapgate_bench::{
    Arguments, Outcome, admit_many, announce, bind, end_with_parent, run_workers, websocket,
};
use tokio::net::TcpStream;

use reply::Reply;
use slots::Slots;

const TEXT: &[u8] = b"{\"id\": 42, \"name\": \"alice\", \"groups\": [\"gold\", \"beta\"], \"since\": \"2024-02-29\"}\n";

/// The type of calls of gRPC.
const GRPC: &str = "application/grpc";

/// The largest answer `/bytes/N` gives.
const BIGGEST: usize = 64 << 20;
static ZEROS: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(vec![b'0'; BIGGEST]));

fn main() -> Outcome<()> {
    let mut arguments = Arguments::of_process();
    let address = arguments
        .value("--listen")?
        .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
    let workers = arguments.value("--workers")?.unwrap_or(1);
    let announce_file: PathBuf = arguments.required("--announce")?;
    let manner = Manner {
        echo: arguments.flag("--echo"),
        h2: arguments.flag("--h2"),
        slots: Slots::read(&mut arguments)?.map(Arc::new),
    };
    arguments.finish()?;

    admit_many()?;
    let listeners = bind(address, workers)?;
    announce(&announce_file, listeners[0].local_addr()?)?;
    end_with_parent();
    run_workers(listeners, move || {
        let manner = manner.clone();
        async move |stream| serve(stream, &manner).await
    })
}

/// How requests are answered.
#[derive(Clone)]
struct Manner {
    echo: bool,
    h2: bool,
    slots: Option<Arc<Slots>>,
}

async fn serve(stream: TcpStream, manner: &Manner) {
    let service = service_fn(async |request| answer(request, manner).await);
    let stream = TokioIo::new(stream);
    // A client that goes away is the end of its connection and nothing else.
    let _ = if manner.h2 {
        let calls = service_fn(|request| answer_of_its_own(request, manner.clone()));
        http2::Builder::new(Local)
            .serve_connection(stream, calls)
            .await
    } else {
        http1::Builder::new()
            .serve_connection(stream, service)
            .with_upgrades()
            .await
    };
}

/// The same for a stream, which lives on a task of its own.
async fn answer_of_its_own(
    request: Request<Incoming>,
    manner: Manner,
) -> hyper::Result<Response<Reply>> {
    answer(request, &manner).await
}

/// Spawns on the thread it is on.
#[derive(Clone, Copy)]
struct Local;

impl<F: Future<Output: 'static> + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

async fn answer(request: Request<Incoming>, manner: &Manner) -> hyper::Result<Response<Reply>> {
    if let Some(accepted) = accepted(&request) {
        return Ok(open_websocket(request, accepted));
    }
    if is_call(&request) {
        let sent = request.into_body();
        return Ok(typed(Reply::Echo { sent, done: false }, GRPC));
    }
    if let Some(Ok(end)) = number_after(&request, "/pattern/") {
        return Ok(typed(
            Reply::Pattern { at: 0, end },
            "application/octet-stream",
        ));
    }
    let counts = request.uri().path() == "/count";
    let (body, slots) = match &manner.slots {
        Some(slots) if counts => (slots.report(), None),
        slots => (what_to_say(&request, manner.echo), slots.as_ref()),
    };
    // It is counted from its head on, and until its answer is made.
    let visit = slots.map(|slots| slots.enter());
    let mut sent = request.into_body();
    while let Some(frame) = sent.frame().await {
        frame?;
    }
    if let Some(visit) = visit {
        visit.work().await;
    }
    Ok(typed(body.into(), "application/json"))
}

fn typed(body: Reply, kind: &'static str) -> Response<Reply> {
    let mut answer = Response::new(body);
    let kind = HeaderValue::from_static(kind);
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

fn is_call(request: &Request<Incoming>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind == GRPC)
}

fn number_after(request: &Request<Incoming>, prefix: &str) -> Option<Result<u64, ParseIntError>> {
    request.uri().path().strip_prefix(prefix).map(str::parse)
}

/// What a request for a WebSocket is to be answered with.
fn accepted(request: &Request<Incoming>) -> Option<HeaderValue> {
    let upgrade = request.headers().get(UPGRADE)?;
    if !upgrade.as_bytes().eq_ignore_ascii_case(b"websocket") {
        return None;
    }
    let key = request.headers().get(SEC_WEBSOCKET_KEY)?;
    HeaderValue::try_from(websocket::accept(key.as_bytes())).ok()
}

fn open_websocket(request: Request<Incoming>, accepted: HeaderValue) -> Response<Reply> {
    tokio::task::spawn_local(async move {
        if let Ok(stream) = hyper::upgrade::on(request).await {
            // A client that goes away is the end of its WebSocket and nothing else.
            let _ = websocket::echo(TokioIo::new(stream)).await;
        }
    });
    let mut answer = Response::new(Reply::from(Bytes::new()));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accepted);
    answer
}

fn what_to_say(request: &Request<Incoming>, echo: bool) -> Bytes {
    let path = request.uri().path();
    if echo || path == "/echo" {
        return seen(request);
    }
    match path.strip_prefix("/bytes/").map(str::parse) {
        Some(Ok(bytes)) => ZEROS.slice(..BIGGEST.min(bytes)),
        _ => Bytes::from_static(TEXT),
    }
}

/// What arrived, in words a person can read; repeated headers become one line.
fn seen(request: &Request<Incoming>) -> Bytes {
    let mut headers: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in request.headers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str())
            .and_modify(|line| {
                line.push_str(", ");
                line.push_str(&value);
            })
            .or_insert_with(|| value.clone().into_owned());
    }
    let report = serde_json::json!({
        "method": request.method().as_str(),
        "path": request.uri().path_and_query().map_or("", |path| path.as_str()),
        "headers": headers,
        "body_bytes": request.body().size_hint().exact(),
    });
    Bytes::from(format!("{report:#}\n"))
}
