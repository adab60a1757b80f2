//! The head of a request becomes an exchange.

use std::borrow::Cow;
use std::rc::Rc;

use http::header::{ACCEPT, HOST};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Version};
use hyper::body::{Body as _, Incoming};

use super::facts::Said;
use super::forwarding::{self, Told};
use super::ingress::{self, Framing, Schemes};
use super::multiplexed::{self, Shape};
use super::tunnel::ask::{self, Asked};
use super::{Exchange, Peer, Running, hops};
use crate::activity::Activity;
use crate::context::headers::{Survey, strip_hop_by_hop};
use crate::context::{Context, Ends, HostName, RequestId, client_headers, trailers};
use crate::local::{Generation, Local};
use crate::respond::failure::RequestFault;
use crate::respond::grpc;
use crate::snapshot::Settings;

/// What is left of a request once its head is read.
pub(super) struct Rest {
    pub(super) body: Incoming,
    pub(super) framing: Framing,
    /// The trailers it announces.
    pub(super) trailer: Option<HeaderValue>,
    /// What it wants the connection to change over to.
    pub(super) asked: Option<Box<Asked>>,
    /// Whether it may pass nobody any more.
    pub(super) ends_here: bool,
}

/// Reads the head; makes the exchange in any case, because a refused request has an answer and a log as well.
pub(super) fn begin(
    worker: Rc<Local>,
    generation: Rc<Generation>,
    (peer, activity): (&Peer, Rc<Activity>),
    settings: &Settings,
    request: Request<Incoming>,
) -> (Running, Rest, Result<(), RequestFault>) {
    let (mut head, body) = request.into_parts();
    let trusted = peer.trusted(&settings.trusted_addresses);
    let schemes = Schemes {
        own: peer.connection.scheme(),
        https: head.uri.scheme().is_some()
            && (peer.is_passed_on() || forwarding::is_trusted(peer.peer.ip(), trusted)),
    };
    let shape = activity
        .is_stream()
        .then(|| multiplexed::prepare(&mut head, &body, settings.limits.headers, schemes));
    let secure = match &shape {
        Some(Ok(shape)) => Ok(shape.secure),
        Some(Err(_)) => Ok(false),
        None => schemes.judge(head.uri.scheme_str()),
    };
    // Before anything is set that is the gateway's own, and before anybody looks: also a refused request is seen by plugins.
    client_headers::take_identity(&mut head.headers, &settings.client_headers);
    if let Ok(true) = secure {
        forwarding::says_https(&mut head.headers);
    }
    let survey = Survey::of(&head.headers);
    let rules = &settings.client_headers;
    let ambiguous = client_headers::take_underscores(&mut head.headers, survey.underscores, rules);
    if survey.upgrade {
        ask::detach(&mut head);
    }
    let (token, fresh_id) = worker.next_exchange();
    let known_id = if forwarding::is_trusted(peer.peer.ip(), trusted) {
        forwarding::known_request_id(&head.headers)
    } else {
        None
    };
    let request_id = known_id.map_or(fresh_id, RequestId::Given);
    let accept = if survey.accept {
        head.headers.get(ACCEPT).cloned()
    } else {
        None
    };
    // Only HTTP/2 has the trailers that gRPC needs.
    let grpc = head.version == Version::HTTP_2 && grpc::is_call(&head.headers);
    let mut read = Read::default();
    let verdict = match ambiguous {
        true => Err(RequestFault::Underscore),
        false => ingress::target_length(&head.uri, settings.limits.uri_bytes),
    };
    let verdict =
        verdict.and_then(|()| read.head(&mut head, survey, settings.merge_slashes, shape));
    let verdict = verdict.and_then(|()| {
        secure?;
        if head.method == Method::TRACE && !body.is_end_stream() {
            return Err(RequestFault::TraceBody);
        }
        read.ends_here = hops::count(&head.method, &mut head.headers)?;
        Ok(())
    });
    let verdict = verdict.and_then(|()| match peer.connection.is_for(read.name.as_str()) {
        true => Ok(()),
        false => Err(RequestFault::Misdirected),
    });
    let told = Told {
        peer: &peer.values,
        trusted,
        request_id: request_id.to_value(),
        host: read.field.clone(),
    };
    let client = forwarding::apply(&mut head.headers, survey, told);
    forwarding::via(&mut head.headers, generation.via.as_ref());
    let ends = Ends {
        peer: peer.peer,
        local: peer.local,
        client,
        connection: Rc::clone(&peer.connection),
    };
    let mut context = Context::new(token, request_id, head.uri, head.method, head.headers, ends);
    context.version = head.version;
    context.host = read.name;
    context.bodies.takes_trailers = read.takes_trailers;
    if let Some(path) = read.path {
        context.set_path(path);
    }
    let connect = read.asked.as_ref().is_some_and(|asked| asked.is_connect());
    let rest = Rest {
        body,
        framing: read.framing,
        trailer: read.trailer,
        asked: read.asked,
        ends_here: read.ends_here,
    };
    let said = Said {
        accept,
        host: read.field,
        // A call is a POST. What is told of one in gRPC's own way is a success, which would agree to a change.
        grpc: grpc && !connect,
        connect,
        head: context.method == Method::HEAD,
    };
    let exchange = Exchange::begin(worker, generation, activity, context, said);
    (exchange, rest, verdict)
}

/// What a head says, as far as it was read.
#[derive(Default)]
struct Read {
    name: HostName,
    field: Option<HeaderValue>,
    /// The normal form, where the target is not already in it.
    path: Option<Box<str>>,
    framing: Framing,
    trailer: Option<HeaderValue>,
    takes_trailers: bool,
    asked: Option<Box<Asked>>,
    ends_here: bool,
}

impl Read {
    fn head(
        &mut self,
        head: &mut Parts,
        survey: Survey,
        merge_slashes: bool,
        shape: Option<Result<Shape, RequestFault>>,
    ) -> Result<(), RequestFault> {
        let shape = shape.transpose()?;
        ingress::target(&head.method, &head.uri)?;
        let host = ingress::host(&head.uri, head.version, &head.headers)?;
        self.framing = ingress::framing(&mut head.headers, survey)?;
        if survey.hop_by_hop {
            self.takes_trailers = trailers::accepted(&head.headers);
            self.trailer =
                trailers::announced(&head.headers).filter(|_| self.framing == Framing::Chunked);
        }
        if let Some(shape) = shape {
            // In HTTP/2 frames say where a body ends, and `te` needs no `connection` beside it.
            self.framing = shape.framing;
            self.trailer = shape.trailer;
            self.takes_trailers = shape.takes_trailers;
            self.asked = shape.connect.map(|token| Box::new(Asked::connect(token)));
        }
        if survey.upgrade {
            // In HTTP/2 there is no such field (RFC 9113, 8.2.2).
            self.asked = Asked::of(head.version, &head.headers).map(Box::new);
        }
        strip_hop_by_hop(&mut head.headers, survey);
        if let (true, Some(field)) = (host.from_target, &host.field) {
            head.headers.insert(HOST, field.clone());
        }
        self.name = host.name;
        self.field = host.field;
        if let Cow::Owned(path) = ingress::path(&head.uri, merge_slashes)? {
            self.path = Some(path.into());
        }
        Ok(())
    }
}

/// Makes of a head what is forwarded where no route and no plugin changes anything; for [`crate::door`].
pub(super) fn forwarded(
    head: &mut Parts,
    merge_slashes: bool,
    (peer, trusted): (&forwarding::PeerValues, &[ipnet::IpNet]),
) -> Result<Framing, RequestFault> {
    let survey = Survey::of(&head.headers);
    if survey.upgrade {
        ask::detach(head);
    }
    let mut read = Read::default();
    read.head(head, survey, merge_slashes, None)?;
    let told = Told {
        peer,
        trusted,
        request_id: HeaderValue::from_static("id"),
        host: read.field.clone(),
    };
    forwarding::apply(&mut head.headers, survey, told);
    let path = read.path.as_deref().unwrap_or_else(|| head.uri.path());
    let query = head.uri.query().unwrap_or_default();
    let target = super::upward::joined(path, query).map_err(|_| RequestFault::Target)?;
    head.uri = http::Uri::from(target);
    super::upward::framed(&mut head.headers, read.framing, read.field.is_some());
    head.version = Version::HTTP_11;
    Ok(read.framing)
}
