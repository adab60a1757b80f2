//! What each path answers.

use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::Admin;
use crate::control::status::Status;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(super) fn to<B>(admin: &Admin, request: &Request<B>) -> Response<Full<Bytes>> {
    if !is_allowed(admin, request.headers()) {
        let text = "show the admin token as `Authorization: Bearer ...`";
        let mut response = with(StatusCode::UNAUTHORIZED, &json!({ "error": text }));
        response
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let text = "this admin listener is read-only";
        let mut response = with(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": text }));
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/healthz" => with(StatusCode::OK, &json!({ "alive": true })),
        "/readyz" => ready(admin),
        "/status" => with(StatusCode::OK, &admin.board.read(Status::document)),
        "/plugins" => with(StatusCode::OK, &json!({ "images": admin.images.report() })),
        "/routes" => {
            let routes = admin.board.read(|status| status.routes.clone());
            with(StatusCode::OK, &json!({ "routes": routes }))
        }
        _ => with(
            StatusCode::NOT_FOUND,
            &json!({ "error": "there are /healthz, /readyz, /status, /plugins and /routes" }),
        ),
    }
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

fn with(status: StatusCode, document: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{document:#}\n"))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
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
