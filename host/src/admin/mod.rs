//! The admin listener: read-only, on the control thread, so that it answers while workers are busy.
//!
//! | path | answers |
//! |---|---|
//! | `/healthz` | 200 while the process is alive; 503 once a panic broke what only a new process mends |
//! | `/readyz` | 200 once everything configured could be served, else 503; see `readiness` in docs/configuration.md |
//! | `/status` | version, generation, last change and its outcome, what is degraded and why |
//! | `/plugins` | every image: state, reasons, instances, calls and errors per hook |
//! | `/routes` | every route with its plugins in their order |
//! | `/upstreams` | every target, whether it is in rotation, and why not; see docs/balancing.md |
//! | `/refused` | the last requests that were refused because of what they are; see docs/security.md |
//! | `POST /explain` | what would become of a request, and why; see docs/routing.md |
//! | `/metrics` | everything that is counted, in the text format of Prometheus; see docs/metrics.md |

mod answer;
mod metrics;
mod spare;
mod upstreams;

use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use http::header::CONNECTION;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::spawn_local;

use crate::config::ready::Secret;
use crate::control::status::Board;
use crate::counted::Metrics;
use crate::fault::watchdog::Watchdog;
use crate::panics::{self, Part, fault};
use crate::plugin::catalog::View;
use crate::socket::shortage;
use spare::Spare;

/// How many connections are served at a time; the others wait in the queue of the socket.
const CONNECTIONS: usize = 64;
/// How long a client may take for a head, and how long a connection may live in all.
const HEAD: Duration = Duration::from_secs(10);
const LIFE: Duration = Duration::from_secs(300);
/// Pause after the system could not give a connection, and how often at most that is said.
const PAUSE: Duration = Duration::from_millis(100);
const SAID: Duration = Duration::from_secs(10);

/// What the admin listener reads.
pub struct Admin {
    /// The state of the process.
    pub board: Board,
    /// The images.
    pub images: View,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Sees hooks that do not return.
    pub watchdog: Watchdog,
    /// What callers must show; none on loopback.
    pub token: Option<Secret>,
}

/// Serves until the future is dropped.
pub async fn serve(socket: TcpListener, admin: Admin) {
    let admin = Rc::new(admin);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let spare = Rc::new(Spare::default());
    spare.fill();
    panics::lasting(Part::Admin, || accept(&socket, &admin, &room, &spare)).await;
}

async fn accept(socket: &TcpListener, admin: &Rc<Admin>, room: &Arc<Semaphore>, spare: &Rc<Spare>) {
    let mut said: Option<Instant> = None;
    loop {
        let Ok(permit) = Arc::clone(room).acquire_owned().await else {
            return;
        };
        let stream = match socket.accept().await {
            Ok((stream, _)) => stream,
            // Whoever wants to know why there are no descriptors left asks here.
            Err(error) if shortage::is(&error) && spare.give() => continue,
            Err(error) => {
                if said.is_none_or(|said| said.elapsed() >= SAID) {
                    said = Some(Instant::now());
                    tracing::warn!(target: "admin", %error, "cannot accept, trying again in {PAUSE:?}");
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (admin, spare) = (Rc::clone(admin), Rc::clone(spare));
        spawn_local(panics::contained(Part::Admin, async move {
            let _permit = permit;
            let service = service_fn(move |request| handle(Rc::clone(&admin), request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .serve_connection(TokioIo::new(stream), service);
            let _ = tokio::time::timeout(LIFE, connection).await;
            // It may have been one of those that were held.
            spare.fill();
        }));
    }
}

async fn handle(
    admin: Rc<Admin>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let answering = pin!(async {
        fault::wanted("admin", request.headers());
        answer::to(&admin, request).await
    });
    let answered = panics::isolated(Part::Admin, answering).await;
    let mut answer = answered.unwrap_or_else(|panicked| {
        panicked.say();
        let text = "{\"error\":\"the gateway could not answer; see its log\"}";
        let mut answer = Response::new(Full::from(text));
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        answer
    });
    if admin.board.read(|status| status.replaced) {
        // The next question is for the process that serves.
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(CONNECTION, close);
    }
    Ok(answer)
}

/// What a request is answered with; for [`crate::door`].
pub(crate) async fn answered(
    admin: &Admin,
    request: Request<Full<Bytes>>,
) -> Response<Full<Bytes>> {
    answer::to(admin, request).await
}
