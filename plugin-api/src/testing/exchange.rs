//! What goes into the gateway in memory.

use swapgate_abi::code;

use super::connection::{ClientCertificate, Connection, Tls};
use super::headers::HeaderList;
use crate::guest::response::Response;

/// A step of an exchange that plugins take part in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Before routing.
    Rewrite,
    /// After routing.
    Access,
    /// Bytes of the request.
    RequestBody,
    /// The head of the answer.
    HeaderFilter,
    /// Bytes of the answer.
    BodyFilter,
    /// Trailers of either.
    Trailers,
    /// The end.
    Log,
    /// The very end.
    RequestEnd,
}

impl Phase {
    /// The number it has in events.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Rewrite => code::SG_PHASE_REWRITE,
            Self::Access => code::SG_PHASE_ACCESS,
            Self::RequestBody => code::SG_PHASE_REQUEST_BODY,
            Self::HeaderFilter => code::SG_PHASE_HEADER_FILTER,
            Self::BodyFilter => code::SG_PHASE_BODY_FILTER,
            Self::Trailers => code::SG_PHASE_TRAILERS,
            Self::Log => code::SG_PHASE_LOG,
            Self::RequestEnd => code::SG_PHASE_REQUEST_END,
        }
    }
}

/// A request to run through a plugin, as it is after routing, and what the upstream would answer.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub(super) method: String,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) client_address: String,
    pub(super) connection: Connection,
    pub(super) route: Option<String>,
    pub(super) params: Vec<(String, String)>,
    pub(super) headers: HeaderList,
    pub(super) vars: Vec<(String, Vec<u8>)>,
    pub(super) consumer: Option<String>,
    pub(super) body: Vec<Vec<u8>>,
    pub(super) open_body: bool,
    pub(super) trailers: HeaderList,
    pub(super) early: bool,
    pub(super) upstream: Response,
    pub(super) upstream_chunks: Option<Vec<Vec<u8>>>,
    pub(super) upstream_open: bool,
    pub(super) upstream_trailers: HeaderList,
    pub(super) global: bool,
}

impl Default for Exchange {
    fn default() -> Self {
        Self::new()
    }
}

impl Exchange {
    /// `GET /` of a client at 192.0.2.1, on the route "test" with a global instance; the upstream answers 200.
    #[must_use]
    pub fn new() -> Self {
        Self {
            method: "GET".to_owned(),
            host: "example.com".to_owned(),
            path: "/".to_owned(),
            query: String::new(),
            client_address: "192.0.2.1".to_owned(),
            connection: Connection::default(),
            route: Some("test".to_owned()),
            params: Vec::new(),
            headers: HeaderList::default(),
            vars: Vec::new(),
            consumer: None,
            body: Vec::new(),
            open_body: false,
            trailers: HeaderList::default(),
            early: false,
            upstream: Response::new(200),
            upstream_chunks: None,
            upstream_open: false,
            upstream_trailers: HeaderList::default(),
            global: true,
        }
    }

    /// The method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// The host the client asked for.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// The path, with a query if there is a question mark.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        path.clone_into(&mut self.path);
        query.clone_into(&mut self.query);
        self
    }

    /// The address of the client.
    #[must_use]
    pub fn client_address(mut self, address: &str) -> Self {
        address.clone_into(&mut self.client_address);
        self
    }

    /// The protocol it came in: `HTTP/1.0`, `HTTP/1.1` (the one unless said otherwise) or `HTTP/2`.
    #[must_use]
    pub fn protocol(mut self, protocol: &str) -> Self {
        protocol.clone_into(&mut self.connection.protocol);
        self
    }

    /// The name of the listener; "test" unless said otherwise.
    #[must_use]
    pub fn listener(mut self, listener: &str) -> Self {
        listener.clone_into(&mut self.connection.listener);
        self
    }

    /// The client speaks TLS, and the scheme is `https`.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.connection.tls = Some(tls);
        self
    }

    /// The client showed a certificate that was checked; it speaks TLS then.
    #[must_use]
    pub fn with_client_certificate(mut self, certificate: ClientCertificate) -> Self {
        self.connection.tls.get_or_insert_default();
        self.connection.client = Some(certificate);
        self
    }

    /// The connection began with a PROXY header that named these two, both with port.
    #[must_use]
    pub fn with_proxy(mut self, source: &str, destination: &str) -> Self {
        self.connection.proxied = Some((source.to_owned(), destination.to_owned()));
        self
    }

    /// No route matches: the gateway answers 404, and `access` does not run.
    #[must_use]
    pub fn no_route(mut self) -> Self {
        self.route = None;
        self
    }

    /// The instance is attached to a service or a route, so `rewrite` does not run.
    #[must_use]
    pub fn scoped(mut self) -> Self {
        self.global = false;
        self
    }

    /// A parameter of the path pattern.
    #[must_use]
    pub fn param(mut self, name: &str, value: &str) -> Self {
        self.params.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a header to the request.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.add(name, value.as_ref());
        self
    }

    /// A variable an earlier plugin has set.
    #[must_use]
    pub fn var(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.vars.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// The consumer an earlier plugin has named.
    #[must_use]
    pub fn consumer(mut self, consumer: &str) -> Self {
        self.consumer = Some(consumer.to_owned());
        self
    }

    /// The body of the request, in the pieces in which it arrives. Its end comes with the last one, which may be empty.
    #[must_use]
    pub fn body<B: AsRef<[u8]>>(mut self, pieces: impl IntoIterator<Item = B>) -> Self {
        self.body = copies(pieces);
        self
    }

    /// More of the body comes by [`Flight::send`](super::Flight::send).
    #[must_use]
    pub fn open_body(mut self) -> Self {
        self.open_body = true;
        self
    }

    /// Adds a trailer to the request.
    #[must_use]
    pub fn trailer(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.trailers.add(name, value.as_ref());
        self
    }

    /// The upstream answers as soon as it has the head of the request, and not when it has all of it.
    #[must_use]
    pub fn early_answer(mut self) -> Self {
        self.early = true;
        self
    }

    /// The pieces in which the body of the upstream's answer arrives, instead of the body of
    /// [`upstream`](Self::upstream).
    #[must_use]
    pub fn upstream_body<B: AsRef<[u8]>>(mut self, pieces: impl IntoIterator<Item = B>) -> Self {
        self.upstream_chunks = Some(copies(pieces));
        self
    }

    /// More of the upstream's body comes by [`Flight::receive`](super::Flight::receive).
    #[must_use]
    pub fn open_upstream_body(mut self) -> Self {
        self.upstream_chunks.get_or_insert_default();
        self.upstream_open = true;
        self
    }

    /// Adds a trailer to the upstream's answer.
    #[must_use]
    pub fn upstream_trailer(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.upstream_trailers.add(name, value.as_ref());
        self
    }

    /// What the upstream answers.
    #[must_use]
    pub fn upstream(mut self, response: Response) -> Self {
        self.upstream = response;
        self
    }
}

fn copies<B: AsRef<[u8]>>(pieces: impl IntoIterator<Item = B>) -> Vec<Vec<u8>> {
    let pieces = pieces.into_iter();
    pieces.map(|piece| piece.as_ref().to_vec()).collect()
}
