//! One check of one target: connect as requests do, ask, and judge the answer. Each check has a connection of its own, so
//! that it finds out what a new one would meet.

use std::cell::Cell;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, TE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Version};
use http_body_util::Full;
use tokio::time::timeout;

use super::ask::{Answer, ask};
use super::grpc;
use crate::config::ready::{ActiveHealth, HealthCheck, Statuses, UpstreamProtocol};
use crate::health::outcome::CheckResult;
use crate::upstream::dial::{Agreed, Failed, dial};
use crate::upstream::manner::{Destination, authority};
use crate::wire::Wire;

/// What is wrong with a target: the kind of it, and in words.
pub(super) type Flaw = (CheckResult, String);

const AGENT: HeaderValue = HeaderValue::from_static(concat!(
    "swapgate/",
    env!("CARGO_PKG_VERSION"),
    " (health check)"
));

/// Checks a target; none: this system had no socket for it, and nothing was found out.
pub(super) async fn check(to: &Destination, settings: &ActiveHealth) -> Option<Result<(), Flaw>> {
    let waits_for = Cell::new("take a connection");
    let checked = async {
        match &settings.check {
            HealthCheck::Tcp => dialled(to).await.map(|_| ()),
            HealthCheck::Http {
                path,
                host,
                statuses,
            } => {
                let connected = dialled(to).await?;
                waits_for.set("answer");
                let asked = (&**path, host.as_deref());
                Ok(http(to, connected, asked, statuses).await?)
            }
            HealthCheck::Grpc { service, host } => {
                let to = in_http2(to);
                let (wire, _) = dialled(&to).await?;
                waits_for.set("answer");
                let limit = settings.timeout;
                let asked = (&**service, host.as_deref());
                Ok(grpc_health(&to, wire, asked, limit).await?)
            }
        }
    };
    let limit = settings.timeout;
    let checked = timeout(limit, checked).await.unwrap_or_else(|_| {
        let text = format!("it did not {} within {limit:?}", waits_for.get());
        Err(Missed::Flaw((CheckResult::Timeout, text)))
    });
    match checked {
        Ok(()) => Some(Ok(())),
        Err(Missed::Flaw(flaw)) => Some(Err(flaw)),
        Err(Missed::Short(error)) => {
            tracing::warn!(target: "control", target = %to.target, %error, "there is no socket for a check; the target stays as it is");
            None
        }
    }
}

/// Why a check did not find the target well.
enum Missed {
    Flaw(Flaw),
    /// This system has no socket to give.
    Short(std::io::Error),
}

impl From<Flaw> for Missed {
    fn from(flaw: Flaw) -> Self {
        Self::Flaw(flaw)
    }
}

async fn dialled(to: &Destination) -> Result<(Wire, Agreed), Missed> {
    dial(to).await.map_err(|failed| match failed {
        Failed::Short(error) => Missed::Short(error),
        Failed::Tls(error) => Missed::Flaw((
            CheckResult::TlsError,
            format!("TLS with it came to nothing: {error}"),
        )),
        other => Missed::Flaw((
            CheckResult::ConnectError,
            format!("it took no connection: {}", other.into_error()),
        )),
    })
}

/// The same target in HTTP/2, whatever its requests speak: gRPC knows nothing else.
fn in_http2(to: &Destination) -> Destination {
    let mut to = to.clone();
    to.manner.protocol = UpstreamProtocol::Http2;
    to.manner.tls = to.manner.tls.map(|tls| tls.for_http2().into());
    to
}

/// The `Host` of a check.
fn host_of(to: &Destination, host: Option<&str>) -> HeaderValue {
    let own = || to.manner.host(&to.target, to.name.as_deref());
    host.and_then(|host| HeaderValue::from_str(host).ok())
        .unwrap_or_else(own)
}

/// What is wrong with the settings, which were checked before.
fn unaskable(error: &http::Error) -> Flaw {
    let text = format!("it cannot be asked: {error}");
    (CheckResult::Malformed, text)
}

/// A request to a path of a target, as the version has it.
fn request(
    builder: http::request::Builder,
    to: &Destination,
    (path, host): (&str, Option<&str>),
    agreed: Agreed,
) -> http::request::Builder {
    let host = host_of(to, host);
    let builder = builder.header(USER_AGENT, AGENT);
    match (agreed, authority(&host)) {
        (Agreed::Http2, Some(authority)) => {
            let scheme = to.manner.scheme();
            builder
                .version(Version::HTTP_2)
                .uri(format!("{scheme}://{authority}{path}"))
        }
        _ => builder
            .uri(path)
            .header(HOST, host)
            .header(CONNECTION, "close"),
    }
}

async fn http(
    to: &Destination,
    (wire, agreed): (Wire, Agreed),
    asked: (&str, Option<&str>),
    statuses: &Statuses,
) -> Result<(), Flaw> {
    let request = request(Request::get("/"), to, asked, agreed);
    let request = request.body(Full::default());
    let request = request.map_err(|error| unaskable(&error))?;
    let answer = ask(wire, agreed, request).await?;
    let status = answer.status;
    if statuses.contains(status) {
        Ok(())
    } else {
        Err((CheckResult::Unwell, format!("it answered {status}")))
    }
}

async fn grpc_health(
    to: &Destination,
    wire: Wire,
    (service, host): (&str, Option<&str>),
    limit: Duration,
) -> Result<(), Flaw> {
    // At most eight digits.
    let limit = limit.as_millis().min(99_999_999);
    let request = request(Request::post("/"), to, (grpc::PATH, host), Agreed::Http2)
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header("grpc-timeout", format!("{limit}m"))
        .body(Full::new(Bytes::from(grpc::question(service))));
    let request = request.map_err(|error| unaskable(&error))?;
    judge(&ask(wire, Agreed::Http2, request).await?, service)
}

/// What a server says of its health.
fn judge(answer: &Answer, service: &str) -> Result<(), Flaw> {
    let malformed = |text: String| Err((CheckResult::Malformed, text));
    let unwell = |text: String| Err((CheckResult::Unwell, text));
    if answer.status != StatusCode::OK {
        let status = answer.status;
        return unwell(format!("it answered {status} where gRPC has 200"));
    }
    let about = if service.is_empty() {
        "the server".to_owned()
    } else {
        format!("service {service:?}")
    };
    // Where there is no message the status stands in the head.
    let ended = answer.trailers.as_ref().or(Some(&answer.headers));
    match ended.and_then(grpc_status) {
        Some(0) => {}
        Some(5) => return unwell(format!("it does not know {about}")),
        Some(12) => return unwell("it has no grpc.health.v1.Health".to_owned()),
        Some(code) => return unwell(format!("it answered the gRPC status {code}")),
        None => return malformed("its answer has no grpc-status".to_owned()),
    }
    match grpc::status(&answer.body) {
        Some(grpc::SERVING) => Ok(()),
        Some(other) => unwell(format!("it says that {about} is {}", grpc::name(other))),
        None => malformed("its answer is no HealthCheckResponse".to_owned()),
    }
}

fn grpc_status(headers: &HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}
