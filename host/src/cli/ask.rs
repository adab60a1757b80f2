//! Asking a gateway that runs.

use std::net::SocketAddr;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// How long everything may take.
const TIME: Duration = Duration::from_secs(10);
/// Longest answer that is read.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// Nobody there.
    #[error(
        "cannot connect to the admin listener {0}: {1}; start the gateway, or name its admin address with --admin"
    )]
    Connect(SocketAddr, std::io::Error),
    /// It broke off, or it is not a gateway.
    #[error("{0} does not answer like the admin listener of a gateway: {1}")]
    Broken(SocketAddr, String),
    /// It took too long.
    #[error("the admin listener {0} does not answer within {TIME:?}")]
    Slow(SocketAddr),
    /// It asks for a token.
    #[error(
        "the admin listener {0} asks for its token; name it with --token or in SWAPGATE_ADMIN_TOKEN"
    )]
    Token(SocketAddr),
    /// It does not understand the question.
    #[error("{0}")]
    Refused(String),
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ask<'a> {
    /// GET this path.
    Get(&'a str),
    /// POST this document to this path.
    Post(&'a str, &'a [u8]),
}

/// Where the admin listener of a gateway is, and what it asks for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Admin {
    /// The admin listener of the gateway that is asked.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8001")]
    pub(crate) admin: SocketAddr,
    /// The token it asks for, where it does.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "SWAPGATE_ADMIN_TOKEN",
        hide_env_values = true
    )]
    pub(crate) token: Option<String>,
}

impl Admin {
    /// Asks, and gives back what a 200 brought.
    pub(crate) fn ask(&self, what: Ask<'_>) -> Result<Bytes, NoAnswer> {
        ask(self.admin, self.token.as_deref(), what)
    }

    /// Asks for a JSON document.
    pub(crate) fn document(&self, path: &str) -> Result<Value, NoAnswer> {
        let bytes = self.ask(Ask::Get(path))?;
        let broken = |error: serde_json::Error| NoAnswer::Broken(self.admin, error.to_string());
        serde_json::from_slice(&bytes).map_err(broken)
    }
}

/// Asks, and gives back what a 200 brought.
pub(crate) fn ask(
    admin: SocketAddr,
    token: Option<&str>,
    what: Ask<'_>,
) -> Result<Bytes, NoAnswer> {
    let broken = |error: &dyn std::fmt::Display| NoAnswer::Broken(admin, error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| broken(&error))?;
    let asked = async { tokio::time::timeout(TIME, exchange(admin, token, what)).await };
    let (status, bytes) = match runtime.block_on(asked) {
        Ok(answered) => answered?,
        Err(_) => return Err(NoAnswer::Slow(admin)),
    };
    match status {
        StatusCode::OK => Ok(bytes),
        StatusCode::UNAUTHORIZED => Err(NoAnswer::Token(admin)),
        _ => {
            let document: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let text = document.get("error").and_then(Value::as_str);
            Err(text.map_or_else(
                || broken(&status),
                |text| NoAnswer::Refused(text.to_owned()),
            ))
        }
    }
}

async fn exchange(
    admin: SocketAddr,
    token: Option<&str>,
    what: Ask<'_>,
) -> Result<(StatusCode, Bytes), NoAnswer> {
    let broken = |error: &dyn std::fmt::Display| NoAnswer::Broken(admin, error.to_string());
    let stream = TcpStream::connect(admin)
        .await
        .map_err(|error| NoAnswer::Connect(admin, error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    let (mut request, body) = match what {
        Ask::Get(path) => (Request::get(path), Bytes::new()),
        Ask::Post(path, body) => {
            let request = Request::post(path).header(CONTENT_TYPE, "application/json");
            (request, Bytes::copy_from_slice(body))
        }
    };
    request = request.header(HOST, admin.to_string());
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request
        .body(Full::new(body))
        .map_err(|error| broken(&error))?;
    let answered = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| broken(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES)
            .collect()
            .await;
        let body = body.map_err(|error| broken(&error))?;
        Ok((status, body.to_bytes()))
    };
    tokio::pin!(answered);
    tokio::select! {
        answered = &mut answered => answered,
        // Its end says nothing that the answer does not.
        _ = connection => answered.await,
    }
}
