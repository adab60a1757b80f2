//! Answers a plugin makes instead of the upstream.

use serde_json::json;

/// What a request hook wants to happen next.
#[derive(Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on with the next plugin.
    Continue,
    /// The answer is made. Only `respond` hands out what it takes to say so.
    Respond(Responded),
}

/// What a hook of a body wants to happen next.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyFlow {
    /// Pass the window on, but for what is held.
    Continue,
    /// Keep the window and call again when there is more. For plugins that declared [`Need::Buffer`](crate::Need), and
    /// not at the end of the body.
    Buffer,
    /// The answer is made. Only `respond` hands out what it takes to say so.
    Respond(Responded),
}

/// Proof that `respond` was called in this exchange.
#[derive(Debug, PartialEq, Eq)]
pub struct Responded(pub(super) ());

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// An answer with this status (200 to 599) and nothing else.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// An answer in `application/problem+json` (RFC 9457).
    #[must_use]
    pub fn problem(status: u16, title: &str, detail: &str) -> Self {
        let body =
            json!({"type": "about:blank", "title": title, "status": status, "detail": detail});
        Self::new(status)
            .header("content-type", "application/problem+json")
            .body(body.to_string())
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// Gives it a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}
