//! A gateway with a listener in plain text and one with TLS, and the ways in which clients come to it.

use std::net::SocketAddr;

use swapgate_tests::builder::{Builder, Place};
use swapgate_tests::certificates::{Certificates, Pair};
use swapgate_tests::{Curl, Gateway, Upstream};

/// The name on the certificate, which stands for the gateway's address wherever a client lets one say so.
pub(crate) const NAME: &str = "gateway.example";

/// The header with the key that `KEY_AUTH` admits.
pub(crate) const WITH_KEY: &str = "x-api-key: key-of-alice";

/// For `plugins:` of a route: who has no key gets 401.
pub(crate) const KEY_AUTH: &str =
    "{name: key-auth, config: {header: x-api-key, keys: [{key: key-of-alice, consumer: alice}]}}";

/// The same: names the consumer to the upstream, and signs each answer, whoever made it.
pub(crate) const HEADERS: &str = "{name: headers, config: {request: {set: {x-consumer: \"${consumer}\"}}, response: {set: {x-signed: \"${header.x-mark}\"}}}}";

/// How a client comes to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Http10,
    Http11,
    Http11Tls,
    Http2,
    Http2Tls,
}

impl Way {
    pub(crate) const ALL: [Way; 5] = [
        Way::Http10,
        Way::Http11,
        Way::Http11Tls,
        Way::Http2,
        Way::Http2Tls,
    ];

    /// Those in which many requests share a connection, and bodies of unknown length have an end.
    pub(crate) const MODERN: [Way; 4] = [Way::Http11, Way::Http11Tls, Way::Http2, Way::Http2Tls];

    pub(crate) fn is_tls(self) -> bool {
        matches!(self, Way::Http11Tls | Way::Http2Tls)
    }

    pub(crate) fn is_http2(self) -> bool {
        matches!(self, Way::Http2 | Way::Http2Tls)
    }

    /// `http` or `https`.
    pub(crate) fn scheme(self) -> &'static str {
        if self.is_tls() { "https" } else { "http" }
    }

    /// The version, as curl names it.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Way::Http10 => "1",
            Way::Http11 | Way::Http11Tls => "1.1",
            Way::Http2 | Way::Http2Tls => "2",
        }
    }

    fn argument(self) -> &'static str {
        match self {
            Way::Http10 => "--http1.0",
            Way::Http11 | Way::Http11Tls => "--http1.1",
            Way::Http2 => "--http2-prior-knowledge",
            Way::Http2Tls => "--http2",
        }
    }
}

/// A gateway with two listeners and what clients need to believe it.
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) certificates: Certificates,
    pub(crate) pair: Pair,
    /// The whole configuration, with its places still open, for reloads.
    pub(crate) text: String,
}

/// Before it starts.
pub(crate) struct Plan {
    text: String,
    builder: Builder,
    certificates: Certificates,
    pair: Pair,
}

impl World {
    /// One with this configuration beside its listeners and folders.
    pub(crate) fn with(text: &str) -> Plan {
        let certificates = Certificates::new();
        // Another address, as listeners are told apart by the address that is configured, and both ask for any port.
        let pair = certificates.server(&[NAME, "127.0.0.2"]);
        let whole = format!(
            "format: 1
listeners:
  - {{name: plain, address: \"127.0.0.1:0\"}}
  - {{name: secure, address: \"127.0.0.2:0\", tls: {{certificates: [{}]}}}}
admin: {{address: \"127.0.0.1:0\"}}
plugins_dir: plugins.d
state_dir: state
workers: 2
{text}",
            pair.entry()
        );
        Plan {
            builder: Gateway::with_whole(&whole)
                .plugin("key_auth")
                .plugin("headers")
                .plugin("pass"),
            text: whole,
            certificates,
            pair,
        }
    }

    /// One route to one upstream, with these plugins.
    pub(crate) fn route(upstream: SocketAddr, plugins: &[&str]) -> Self {
        let text = format!(
            "upstreams: [{{name: up, targets: [{{address: \"{upstream}\"}}]}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: all, service: up, plugins: [{}]}}]
",
            plugins.join(", ")
        );
        Self::with(&text).start()
    }

    /// The address a client comes to in this way.
    pub(crate) fn address(&self, way: Way) -> SocketAddr {
        let name = if way.is_tls() { "secure" } else { "plain" };
        self.gateway.address_of(name)
    }

    /// A URL with the gateway's name in it.
    pub(crate) fn url(&self, way: Way, path: &str) -> String {
        let port = self.address(way).port();
        format!("{}://{NAME}:{port}{path}", way.scheme())
    }

    /// A URL with the gateway's address in it.
    pub(crate) fn url_of_address(&self, way: Way, path: &str) -> String {
        format!("{}://{}{path}", way.scheme(), self.address(way))
    }

    /// curl on its way to a path, with further arguments; it knows the name and believes the certificate.
    pub(crate) fn curl(&self, way: Way, path: &str, arguments: &[&str]) -> Curl {
        let address = self.address(way);
        let resolve = format!("{NAME}:{}:{}", address.port(), address.ip());
        Curl::with(&[way.argument(), "--resolve", &resolve, "--cacert"])
            .argument(self.certificates.ca())
            .argument(self.url(way, path))
            .arguments(arguments)
    }
}

impl Plan {
    /// Replaces `@name@`.
    pub(crate) fn set(mut self, name: &str, value: impl Into<Place>) -> Self {
        self.builder = self.builder.set(name, value);
        self
    }

    /// Puts a plugin of the repository beside the usual ones.
    pub(crate) fn plugin(mut self, library: &str) -> Self {
        self.builder = self.builder.plugin(library);
        self
    }

    /// Puts a file beside them.
    pub(crate) fn plugin_bytes(mut self, name: &str, bytes: &[u8]) -> Self {
        self.builder = self.builder.plugin_bytes(name, bytes);
        self
    }

    pub(crate) fn start(self) -> World {
        World {
            gateway: self.builder.start(),
            certificates: self.certificates,
            pair: self.pair,
            text: self.text,
        }
    }
}

/// The one request an upstream received since it was asked last.
#[track_caller]
pub(crate) fn only(upstream: &Upstream) -> swapgate_tests::Received {
    let mut requests = upstream.take_requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    requests.remove(0)
}
