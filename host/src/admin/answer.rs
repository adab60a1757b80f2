//! What each path answers.

use std::net::Ipv4Addr;
use std::time::Duration;

use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HOST, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::Admin;
use crate::control::explain::Question;
use crate::control::status::Status;
use crate::metrics::page::CONTENT_TYPE as CONTENT_TYPE_OF_METRICS;

/// Longest question, and how long it may take to arrive.
const QUESTION_BYTES: usize = 64 * 1024;
const QUESTION_TIME: Duration = Duration::from_secs(10);
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Answers. A body is read only for a question, and only from those who may ask.
pub(super) async fn to<B>(admin: &Admin, request: Request<B>) -> Response<Full<Bytes>>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if !is_allowed(admin, request.headers()) {
        let text = "show the admin token as `Authorization: Bearer ...`";
        let mut response = with(StatusCode::UNAUTHORIZED, &json!({ "error": text }));
        response
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    }
    if admin.token.is_none() && !is_for_this_machine(request.headers()) {
        let text = "without admin.token only requests to an address, to localhost or to a name without a dot are answered";
        return with(StatusCode::MISDIRECTED_REQUEST, &json!({ "error": text }));
    }
    let question = request.uri().path() == "/explain";
    if matches!(request.uri().path(), "/plugins" | "/metrics") {
        admin.images.measure().await;
    }
    match (question, request.method()) {
        (true, &Method::POST) => explain(admin, request.into_body()).await,
        (true, _) => not_allowed("/explain is asked by POST", "POST"),
        (false, &Method::GET | &Method::HEAD) => read(admin, &request),
        (false, _) => not_allowed("this admin listener is read-only", "GET, HEAD"),
    }
}

fn not_allowed(text: &str, allow: &'static str) -> Response<Full<Bytes>> {
    let mut response = with(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": text }));
    let allow = HeaderValue::from_static(allow);
    response.headers_mut().insert(ALLOW, allow);
    response
}

/// `POST /explain`
async fn explain<B>(admin: &Admin, body: B) -> Response<Full<Bytes>>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let wrong = |status, text: String| with(status, &json!({ "error": text }));
    let collected = Limited::new(body, QUESTION_BYTES).collect();
    let bytes = match tokio::time::timeout(QUESTION_TIME, collected).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let text = format!("a question has at most {QUESTION_BYTES} bytes");
            return wrong(StatusCode::PAYLOAD_TOO_LARGE, text);
        }
        Ok(Err(error)) => {
            let text = format!("the question did not arrive: {error}");
            return wrong(StatusCode::BAD_REQUEST, text);
        }
        Err(_) => {
            let text = format!("the question did not arrive within {QUESTION_TIME:?}");
            return wrong(StatusCode::REQUEST_TIMEOUT, text);
        }
    };
    let question: Question = match serde_json::from_slice(&bytes) {
        Ok(question) => question,
        Err(error) => {
            let text = format!(
                "the question is not understood: {error}; send {{\"method\": \"GET\", \"url\": \"http://host/path\", \"headers\": [[\"name\", \"value\"]], \"client\": \"192.0.2.1\"}}"
            );
            return wrong(StatusCode::BAD_REQUEST, text);
        }
    };
    let Some(view) = admin.board.read(|status| status.view.clone()) else {
        let text =
            "nothing serves yet; ask again when /healthz answers and /status shows a generation";
        return wrong(StatusCode::SERVICE_UNAVAILABLE, text.to_owned());
    };
    match view.answer(&question) {
        Ok(document) => with(StatusCode::OK, &json!(document)),
        Err(unclear) => wrong(StatusCode::BAD_REQUEST, unclear.to_string()),
    }
}

fn read<B>(admin: &Admin, request: &Request<B>) -> Response<Full<Bytes>> {
    match request.uri().path() {
        "/healthz" => alive(admin),
        "/readyz" => ready(admin),
        "/status" => with(StatusCode::OK, &status(admin)),
        "/plugins" => with(StatusCode::OK, &json!({ "images": admin.images.report() })),
        "/metrics" => metrics(admin),
        "/refused" => with(StatusCode::OK, &admin.metrics.admission.refused.document()),
        "/upstreams" => with(StatusCode::OK, &super::upstreams::document(admin)),
        "/routes" => {
            let routes = admin.board.read(|status| status.routes.clone());
            with(StatusCode::OK, &json!({ "routes": routes }))
        }
        _ => with(
            StatusCode::NOT_FOUND,
            &json!({ "error": "there are /healthz, /readyz, /status, /plugins, /routes, /upstreams, /refused, /metrics and, by POST, /explain" }),
        ),
    }
}

/// `/healthz`. What only a new process mends is for whoever starts one.
fn alive(admin: &Admin) -> Response<Full<Bytes>> {
    match admin.board.read(|status| status.broken.clone()) {
        None => with(StatusCode::OK, &json!({ "alive": true })),
        Some(broken) => with(
            StatusCode::SERVICE_UNAVAILABLE,
            &json!({ "alive": false, "broken": broken }),
        ),
    }
}

/// `/status`. Hooks that do not return stand beside control calls that do not.
fn status(admin: &Admin) -> Value {
    let mut document = admin.board.read(Status::document);
    let stuck = admin.watchdog.stuck();
    if let Value::Object(keys) = &mut document {
        if let Some(Value::Array(list)) = keys.get_mut("stuck") {
            list.extend(stuck.iter().map(|one| json!(one.to_string())));
        }
        keys.insert("stuck_hooks".to_owned(), json!(stuck));
    }
    document
}

fn ready(admin: &Admin) -> Response<Full<Bytes>> {
    let (ready, degraded) = admin
        .board
        .read(|status| (status.ready(), status.degraded.clone()));
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    with(status, &json!({ "ready": ready, "degraded": degraded }))
}

fn metrics(admin: &Admin) -> Response<Full<Bytes>> {
    match super::metrics::text(admin) {
        Ok(text) => {
            let mut response = Response::new(Full::new(Bytes::from(text)));
            let kind = HeaderValue::from_static(CONTENT_TYPE_OF_METRICS);
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        Err(error) => {
            tracing::error!(target: "admin", %error, "cannot show the metrics; this is a fault of the gateway, please report it");
            with(
                StatusCode::INTERNAL_SERVER_ERROR,
                &json!({ "error": "the metrics cannot be shown; the log says why" }),
            )
        }
    }
}

fn with(status: StatusCode, document: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{document:#}\n"))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// Whether a request is for a name that can only be this machine's. A page of somebody's browser may have its own name lead
/// here, and would then read what is answered as its own (DNS rebinding); such a name has a dot.
fn is_for_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST) else {
        return true;
    };
    let host = host.to_str().unwrap_or(".");
    if host.starts_with('[') {
        return true;
    }
    let name = host.split(':').next().unwrap_or_default();
    let name = name.strip_suffix('.').unwrap_or(name);
    let own = name.to_ascii_lowercase().ends_with(".localhost");
    !name.contains('.') || own || name.parse::<Ipv4Addr>().is_ok()
}

/// Compares in a time that does not depend on the contents.
fn is_allowed(admin: &Admin, headers: &HeaderMap) -> bool {
    let Some(token) = &admin.token else {
        return true;
    };
    let shown = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    shown.is_some_and(|shown| shown.ct_eq(token.reveal().as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_a_browser_reads_nothing() {
        let is_for_us = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_str(host).unwrap());
            is_for_this_machine(&headers)
        };
        for own in [
            "127.0.0.1:8001",
            "[::1]:8001",
            "localhost",
            "LOCALHOST:8001",
            "admin",
            "swapgate.localhost",
            "",
        ] {
            assert!(is_for_us(own), "{own}");
        }
        for other in [
            "evil.example",
            "evil.example.:8001",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
        ] {
            assert!(!is_for_us(other), "{other}");
        }
        assert!(is_for_this_machine(&HeaderMap::new()));
    }
}
