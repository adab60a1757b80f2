//! What comes out of the gateway in memory.

use swapgate_abi::code;

use super::exchange::Phase;
use super::headers::HeaderList;
use crate::guest::handle::Upstream;
use crate::status::HostError;

/// A hook that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// In which phase.
    pub phase: Phase,
    /// How.
    pub error: HostError,
    /// Why, for the log.
    pub text: String,
}

/// What became of an exchange.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) request: HeaderList,
    pub(super) status: u16,
    pub(super) response: HeaderList,
    pub(super) body: Vec<u8>,
    pub(super) reached_upstream: bool,
    pub(super) consumer: Option<String>,
    pub(super) vars: Vec<(String, Vec<u8>)>,
    pub(super) failures: Vec<Failure>,
    pub(super) request_body: Vec<u8>,
    pub(super) trailers: [HeaderList; 2],
    pub(super) upstream: Option<(u32, String)>,
    pub(super) reset: bool,
    pub(super) cancelled: bool,
}

impl Outcome {
    /// Whether the request went to the upstream.
    #[must_use]
    pub fn reached_upstream(&self) -> bool {
        self.reached_upstream
    }

    /// The status the client got.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The body the client got.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body the upstream got.
    #[must_use]
    pub fn request_body(&self) -> &[u8] {
        &self.request_body
    }

    /// The values of a trailer of the request after the plugin, joined by ", ".
    #[must_use]
    pub fn request_trailer(&self, name: &str) -> Option<String> {
        self.trailers[0].joined(name)
    }

    /// The values of a trailer of the answer after the plugin, joined by ", ".
    #[must_use]
    pub fn response_trailer(&self, name: &str) -> Option<String> {
        self.trailers[1].joined(name)
    }

    /// The upstream the plugin chose, if it chose one.
    #[must_use]
    pub fn upstream(&self) -> Option<Upstream<'_>> {
        let (kind, value) = self.upstream.as_ref()?;
        Some(match *kind {
            code::SG_UPSTREAM_SERVICE => Upstream::Service(value),
            code::SG_UPSTREAM_TARGET => Upstream::Target(value),
            _ => Upstream::Address(value),
        })
    }

    /// Whether the client's connection was reset, because something failed once the answer had begun.
    #[must_use]
    pub fn was_reset(&self) -> bool {
        self.reset
    }

    /// Whether the client was gone before the end.
    #[must_use]
    pub fn was_cancelled(&self) -> bool {
        self.cancelled
    }

    /// The method the upstream got.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path the upstream got.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query the upstream got.
    #[must_use]
    pub fn query(&self) -> &str {
        &self.query
    }

    /// The values of a header of the request after the plugin, joined by ", ".
    #[must_use]
    pub fn request_header(&self, name: &str) -> Option<String> {
        self.request.joined(name)
    }

    /// The values of a header of the answer, joined by ", ".
    #[must_use]
    pub fn response_header(&self, name: &str) -> Option<String> {
        self.response.joined(name)
    }

    /// The consumer in the end.
    #[must_use]
    pub fn consumer(&self) -> Option<&str> {
        self.consumer.as_deref()
    }

    /// A variable in the end.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&[u8]> {
        let mut vars = self.vars.iter();
        vars.find(|(known, _)| known == name)
            .map(|(_, value)| value.as_slice())
    }

    /// The hooks that failed, in order.
    #[must_use]
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }
}
