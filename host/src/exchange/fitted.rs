//! A request whose body goes through plugins: the body, and the head that is made to fit it.

use std::rc::Rc;

use http::header::CONTENT_LENGTH;
use hyper::body::Incoming;

use super::Exchange;
use super::forward::{Instead, told};
use super::ingress::Framing;
use super::pump::{Pump, Stopped};
use crate::stream::{Need, reframe};
use crate::upstream::body::{RequestBody, Stream};

/// How the head of a request is made to fit its body.
pub(super) enum Way {
    /// Nobody may change it.
    AsItCame,
    /// It goes through plugins.
    Through {
        /// How long it will be, where that is known; none where nobody may change it.
        len: Option<Option<u64>>,
        /// Whether the client said that there is one, be it empty.
        had: bool,
        stopped: Rc<Stopped>,
    },
}

impl Way {
    /// What is left of the client's body where no upstream takes any of it.
    pub(super) fn left_of(&self, body: RequestBody) -> Option<Incoming> {
        match (body, self) {
            (RequestBody::Stream(mut stream), _) => stream.give_up(),
            (body, Self::Through { stopped, .. }) => {
                stopped.wanted.set(true);
                drop(body);
                stopped.rest.take()
            }
            (_, Self::AsItCame) => None,
        }
    }

    pub(super) fn shape(self, request: &mut http::Request<RequestBody>) -> Option<Rc<Stopped>> {
        let Self::Through { len, had, stopped } = self else {
            return None;
        };
        if let Some(len) = len {
            reframe::request(request.headers_mut());
            reframe::request_length(request.headers_mut(), len, had);
        }
        Some(stopped)
    }
}

/// The body through the plugins that take part in it. The head waits where one may want all of it first, and where all
/// of it is there.
pub(super) async fn piped(
    exchange: &Rc<Exchange>,
    stream: Option<Stream>,
    need: Need,
    (limits, framing): ((u64, usize), Framing),
) -> Result<(RequestBody, Way), Instead> {
    // A length of nothing is a body as well: servers refuse a POST without one (RFC 9110, 8.6).
    let had = framing == Framing::Chunked
        || exchange
            .context
            .borrow()
            .request_headers
            .contains_key(CONTENT_LENGTH);
    let mut pump = Pump::new(exchange, stream, need);
    let stopped = pump.stopped();
    let mut len = None;
    if need == Need::Buffer || pump.is_fed() {
        len = match pump.begun().await {
            Ok(len) => len,
            Err(error) => {
                let instead = stopped.instead();
                return Err(instead.unwrap_or_else(|| told(error.0, limits).into()));
            }
        };
    }
    let way = Way::Through {
        len: need.changes().then_some(len),
        had,
        stopped,
    };
    let body = if len == Some(0) {
        RequestBody::Empty
    } else {
        RequestBody::Piped(Box::pin(pump))
    };
    Ok((body, way))
}
