//! From a question to a request, by the steps of an exchange.

use std::net::{IpAddr, SocketAddr};

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};

use super::document::Question;
use crate::config::ready::Config;
use crate::context::headers::{Survey, strip_hop_by_hop};
use crate::context::{HostName, client_headers};
use crate::control::assemble;
use crate::exchange::forwarding::{self, PeerValues, Told};
use crate::exchange::ingress::Schemes;
use crate::exchange::{hops, ingress};
use crate::respond::failure::RequestFault;
use crate::router::table::Request;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unclear {
    /// Not a method.
    #[error("'{0}' is not a method; write one such as GET")]
    Method(String),
    /// Not a URL.
    #[error(
        "'{0}' is not a URL that a client could ask for; write 'http://host/path', or '/path' with a Host header"
    )]
    Url(String),
    /// Not a header.
    #[error("'{0}' is not a header; write a name and a value that HTTP admits")]
    Header(String),
    /// Not an address.
    #[error("'{0}' is not the address of a client; write an IPv4 or IPv6 address without port")]
    Client(String),
}

/// A request as it is routed.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) method: Method,
    pub(super) host: HostName,
    /// What an upstream would be told.
    pub(super) host_field: Option<HeaderValue>,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) client: IpAddr,
    /// Why it is not routed at all.
    pub(super) refused: Option<RequestFault>,
    /// Whether it may pass nobody any more (RFC 9110, 7.6.2).
    pub(super) ends_here: bool,
    /// The scheme it says and that of the connection, where they differ and it must not say so itself.
    pub(super) differs: Option<(String, &'static str)>,
}

impl Read {
    pub(super) fn request(&self) -> Request<'_> {
        Request {
            host: self.host.as_str(),
            path: &self.path,
            method: &self.method,
            headers: &self.headers,
            query: &self.query,
            client: self.client,
            sni: None,
        }
    }

    /// Reads a question.
    pub(super) fn new(question: &Question, config: &Config) -> Result<Self, Unclear> {
        let method = Method::from_bytes(question.method.as_bytes())
            .map_err(|_| Unclear::Method(question.method.clone()))?;
        let mut headers = headers(&question.headers)?;
        let (uri, said) = target(&question.url, &mut headers)?;
        let peer = match &question.client {
            None => IpAddr::from([127, 0, 0, 1]),
            Some(text) => text.parse().map_err(|_| Unclear::Client(text.clone()))?,
        };
        let mut read = Self {
            method,
            host: HostName::default(),
            host_field: None,
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
            headers,
            client: peer,
            refused: None,
            ends_here: false,
            differs: None,
        };
        let schemes = Schemes {
            own: scheme(said.as_deref(), config),
            https: forwarding::is_trusted(peer, &config.trusted_addresses),
        };
        match schemes.judge(said.as_deref()) {
            Ok(true) => forwarding::says_https(&mut read.headers),
            Ok(false) => {}
            Err(_) => read.differs = said.map(|said| (said, schemes.own)),
        }
        read.refused = read.admit(&uri, config).err();
        read.forwarded(peer, schemes.own, config);
        Ok(read)
    }

    /// What an exchange does with a head before it routes.
    fn admit(&mut self, uri: &Uri, config: &Config) -> Result<(), RequestFault> {
        let rules = &config.client_headers;
        client_headers::take_identity(&mut self.headers, rules);
        let there_are = Survey::of(&self.headers).underscores;
        if client_headers::take_underscores(&mut self.headers, there_are, rules) {
            return Err(RequestFault::Underscore);
        }
        ingress::target_length(uri, config.limits.uri_bytes)?;
        ingress::target(&self.method, uri)?;
        // A question without a host stands for a client of HTTP/1.0, which need not say one.
        let version = if self.headers.contains_key(HOST) {
            Version::HTTP_11
        } else {
            Version::HTTP_10
        };
        let host = ingress::host(uri, version, &self.headers)?;
        self.host = host.name;
        self.host_field = host.field;
        let survey = Survey::of(&self.headers);
        ingress::framing(&mut self.headers, survey)?;
        strip_hop_by_hop(&mut self.headers, survey);
        self.path = ingress::path(uri, config.merge_slashes)?.into_owned();
        self.ends_here = hops::count(&self.method, &mut self.headers)?;
        Ok(())
    }

    /// Sets the headers about the client and the gateway as an exchange does, for conditions may ask for them.
    fn forwarded(&mut self, peer: IpAddr, scheme: &'static str, config: &Config) {
        let survey = Survey::of(&self.headers);
        let any = SocketAddr::from(([0, 0, 0, 0], 0));
        let told = Told {
            peer: &PeerValues::new(SocketAddr::new(peer, 0), any, scheme),
            trusted: &config.trusted_addresses,
            request_id: HeaderValue::from_static("explain"),
            host: self.host_field.clone(),
        };
        self.client = forwarding::apply(&mut self.headers, survey, told);
        forwarding::via(&mut self.headers, assemble::via(config).as_ref());
    }
}

fn headers(listed: &[(String, String)]) -> Result<HeaderMap, Unclear> {
    let mut headers = HeaderMap::new();
    for (name, value) in listed {
        let header = HeaderName::from_bytes(name.as_bytes()).ok();
        let field = HeaderValue::from_bytes(value.as_bytes()).ok();
        let (Some(header), Some(field)) = (header, field) else {
            return Err(Unclear::Header(format!("{name}: {value}")));
        };
        headers.append(header, field);
    }
    Ok(headers)
}

/// The scheme of the connection on which a request that says this one would come: its own where a listener speaks it.
fn scheme(said: Option<&str>, config: &Config) -> &'static str {
    let secure = config
        .listeners
        .iter()
        .filter(|one| one.tls.is_some())
        .count();
    match said {
        Some("https") if secure > 0 => "https",
        _ if secure > 0 && secure == config.listeners.len() => "https",
        _ => "http",
    }
}

/// The target a client would send for this URL, and its scheme; its host becomes the `Host` header, unless there is one.
fn target(url: &str, headers: &mut HeaderMap) -> Result<(Uri, Option<String>), Unclear> {
    let unclear = || Unclear::Url(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| unclear())?;
    if let Some(authority) = uri.authority() {
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(unclear());
        }
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| unclear())?;
        headers.entry(HOST).or_insert(host);
    } else if !uri.path().starts_with('/') && uri.path() != "*" {
        return Err(unclear());
    }
    let target = uri.path_and_query().ok_or_else(unclear)?;
    let target = target.as_str().parse().map_err(|_| unclear())?;
    Ok((target, uri.scheme_str().map(str::to_owned)))
}
