//! Calls to other HTTP services: the gateway sends them, over connections it keeps.

use std::time::Duration;

use crate::guest::task::{Kind, Operation, Output};
use crate::status::HostError;

/// A request to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub(crate) service: String,
    pub(crate) url: String,
    pub(crate) method: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) timeout: Duration,
    pub(crate) max_body: u64,
}

impl Request {
    /// A `GET` to a configured service, with path and query.
    #[must_use]
    pub fn to_service(service: &str, path: &str) -> Self {
        Self {
            service: service.to_owned(),
            ..Self::to_url(path)
        }
    }

    /// A `GET` to an absolute `http://` or `https://` URL on the allow list of the configuration.
    #[must_use]
    pub fn to_url(url: &str) -> Self {
        Self {
            service: String::new(),
            url: url.to_owned(),
            method: String::new(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: Duration::ZERO,
            max_body: 0,
        }
    }

    /// Another method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
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

    /// How long all of it may take; five seconds unless said.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        // Zero crosses the line as "the usual".
        self.timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// How long the body of the answer may be; 1 MiB unless said.
    #[must_use]
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.max_body = bytes;
        self
    }

    /// Sends it and waits for the whole answer.
    ///
    /// # Errors
    ///
    /// [`HostError::NotFound`]: no such service. [`HostError::Forbidden`]: not on the allow list. [`HostError::Timeout`],
    /// [`HostError::TooLarge`]: the answer was not there in time, or is too long. [`HostError::Unavailable`]: nobody
    /// answered, or this is a preflight.
    pub fn send(self) -> impl Future<Output = Result<Answer, HostError>> + Send {
        let operation =
            Operation::new(Kind::Http, move |gateway, scope| gateway.http(scope, &self));
        async move {
            match operation.await? {
                Output::Answer(answer) => Ok(answer),
                Output::Nothing | Output::Addresses(_) => Err(HostError::Failed),
            }
        }
    }
}

/// What a service answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(status: u16, headers: Vec<(String, Vec<u8>)>, body: Vec<u8>) -> Self {
        Self {
            status,
            headers,
            body,
        }
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The first value of a header; the name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_slice())
    }

    /// All headers, in their order.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        let headers = self.headers.iter();
        headers.map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, to keep.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }
}
