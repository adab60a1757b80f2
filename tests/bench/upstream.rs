//! The upstream of the demo, the soaks and the load comparison.
//!
//! It answers every request with the same small text, `/bytes/N` with as many bytes, and `/echo` (with `--echo` every
//! path) with what it saw of the request as JSON. Bodies of requests are read to their end before the answer.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use swapgate_bench::{Arguments, Outcome, announce, bind, end_with_parent, run_workers};
use tokio::net::TcpStream;

const TEXT: &[u8] = b"{\"id\": 42, \"name\": \"alice\", \"groups\": [\"gold\", \"beta\"], \"since\": \"2024-02-29\"}\n";

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
    let echo = arguments.flag("--echo");
    arguments.finish()?;

    let listeners = bind(address, workers)?;
    announce(&announce_file, listeners[0].local_addr()?)?;
    end_with_parent();
    run_workers(listeners, move || {
        async move |stream| serve(stream, echo).await
    })
}

async fn serve(stream: TcpStream, echo: bool) {
    let service = service_fn(async |request| answer(request, echo).await);
    // A client that goes away is the end of its connection and nothing else.
    let _ = Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(request: Request<Incoming>, echo: bool) -> hyper::Result<Response<Full<Bytes>>> {
    let body = what_to_say(&request, echo);
    let mut sent = request.into_body();
    while let Some(frame) = sent.frame().await {
        frame?;
    }
    let mut answer = Response::new(Full::new(body));
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(answer)
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
