//! Copies of requests for another upstream.
//!
//! A copy is what the upstream of the request gets, and nobody waits for it: it has a task of its own, which holds neither
//! the exchange nor its generation, and its answer is thrown away. Its body is copied piece by piece as the request's own
//! upstream takes it, so that the copy can neither delay that nor make the client wait. The bytes themselves are copied,
//! for a piece of a buffer would keep all of that for as long as the copy is under way: what copies hold is at most
//! `requests` bodies of `body_bytes`, beside the heads.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request};
use hyper::body::{Body, Frame, SizeHint};
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::Exchange;
use crate::admission::gate::Door;
use crate::config::ready::Mirror;
use crate::local::Generation;
use crate::local::shares::{Shares, Slot};
use crate::metrics::mirror::Mirroring;
use crate::panics::{self, Part};
use crate::snapshot::Forward;
use crate::upstream::body::{RequestBody, RequestBodyError};
use crate::upstream::deliver::Delivery;

/// Has a request copied, if it is one of those that are: what is given back takes its place.
pub(super) fn copied(
    exchange: &Exchange,
    generation: &Generation,
    (forward, mirror): (&Forward, &Mirror),
    request: Request<RequestBody>,
) -> Request<RequestBody> {
    let Some(copy) = copy(exchange, generation, (forward, mirror), &request) else {
        return request;
    };
    let (head, body) = request.into_parts();
    let body = match body {
        RequestBody::Empty => {
            copy.send(RequestBody::Empty);
            RequestBody::Empty
        }
        RequestBody::Whole(bytes) => {
            copy.send(RequestBody::Whole(Bytes::copy_from_slice(&bytes)));
            RequestBody::Whole(bytes)
        }
        coming => RequestBody::Piped(Box::pin(Tap::new(coming, copy, mirror.body_bytes))),
    };
    Request::from_parts(head, body)
}

/// A copy of the head, if there may be one.
fn copy(
    exchange: &Exchange,
    generation: &Generation,
    (forward, mirror): (&Forward, &Mirror),
    request: &Request<RequestBody>,
) -> Option<Copy> {
    if request.method() == Method::CONNECT {
        return None;
    }
    let copies = Shares::find(&generation.shares, exchange.matched.get()?.route)?.copies()?;
    let group = generation.groups.get(mirror.upstream)?;
    if !copies.is_due(mirror.percent) {
        return None;
    }
    let slot = copies.begin(mirror.requests)?;
    if request.body().size_hint().lower() > mirror.body_bytes {
        slot.came_to(Mirroring::DroppedBody);
        return None;
    }
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = request.uri().clone();
    *head.version_mut() = request.version();
    *head.headers_mut() = request.headers().clone();
    Some(Copy {
        head,
        delivery: Delivery {
            group: Rc::clone(group),
            timeouts: forward.timeouts,
            preserve_host: forward.preserve_host,
        },
        slot,
    })
}

/// A copy of a request, but for its body.
struct Copy {
    head: Request<()>,
    delivery: Delivery,
    slot: Slot,
}

impl Copy {
    /// Sends it, and leaves it to itself.
    fn send(self, body: RequestBody) {
        let Self {
            head,
            delivery,
            mut slot,
        } = self;
        // What is left alone gets no copies either, and they are no trials: those are few, and for whoever waits.
        let fuse = delivery.group.upstream.fuse.as_ref();
        if fuse.is_some_and(|fuse| !fuse.breaker.is_closed()) {
            slot.came_to(Mirroring::DroppedBreaker);
            return;
        }
        // A copy never waits for a place where as many run as may, and takes one from nobody who does.
        let door = delivery.group.door.as_ref();
        let permit = door.map(Door::try_enter);
        if let Some(None) = permit {
            slot.came_to(Mirroring::DroppedLimit);
            return;
        }
        let request = head.map(|()| body);
        spawn_local(panics::contained(Part::Exchange, async move {
            let _permit = permit;
            let sending = async {
                if let Some(answer) = delivery.send(request).await {
                    slot.comes_to(Mirroring::Sent);
                    answer.read_away(delivery.timeouts.idle).await;
                }
            };
            match delivery.timeouts.total {
                Some(limit) => drop(timeout(limit, sending).await),
                None => sending.await,
            }
        }));
    }
}

/// A request body that is copied on its way.
struct Tap {
    body: RequestBody,
    /// None once it was sent, or given up.
    copying: Option<Copying>,
}

struct Copying {
    copy: Copy,
    bytes: BytesMut,
    /// How much there will be, where that is known: whoever takes that much may not ask again.
    expected: Option<u64>,
    limit: u64,
}

impl Tap {
    fn new(body: RequestBody, mut copy: Copy, limit: u64) -> Self {
        // Until it is whole, that is what it comes to.
        copy.slot.comes_to(Mirroring::DroppedBody);
        let copying = Copying {
            expected: body.size_hint().exact(),
            copy,
            bytes: BytesMut::new(),
            limit,
        };
        Self {
            body,
            copying: Some(copying),
        }
    }

    fn saw(&mut self, next: Option<&Result<Frame<Bytes>, RequestBodyError>>) {
        let Some(copying) = &mut self.copying else {
            return;
        };
        let mut trailers = None;
        let whole = match next {
            None => true,
            Some(Err(_)) => {
                self.copying = None;
                return;
            }
            Some(Ok(frame)) => {
                if let Some(bytes) = frame.data_ref()
                    && !copying.takes(bytes)
                {
                    self.copying = None;
                    return;
                }
                trailers = frame.trailers_ref().cloned();
                trailers.is_some() || copying.is_whole() || self.body.is_end_stream()
            }
        };
        if whole && let Some(copying) = self.copying.take() {
            copying.send(trailers);
        }
    }
}

impl Copying {
    /// Copies a piece, if there is room for it.
    fn takes(&mut self, bytes: &Bytes) -> bool {
        let len = self.bytes.len().saturating_add(bytes.len());
        let fits = u64::try_from(len).is_ok_and(|len| len <= self.limit);
        if fits {
            self.bytes.extend_from_slice(bytes);
        }
        fits
    }

    fn is_whole(&self) -> bool {
        let len = u64::try_from(self.bytes.len()).ok();
        len.is_some() && len == self.expected
    }

    fn send(self, trailers: Option<HeaderMap>) {
        let Self {
            mut copy, bytes, ..
        } = self;
        copy.slot.comes_to(Mirroring::Failed);
        copy.send(RequestBody::Piped(Box::pin(Copied {
            bytes: bytes.freeze(),
            trailers,
        })));
    }
}

impl Body for Tap {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let this = self.get_mut();
        let next = ready!(Pin::new(&mut this.body).poll_frame(cx));
        this.saw(next.as_ref());
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The copy of a body. It says only at its end that it is over, for the head may say that there is a body, be it empty.
struct Copied {
    bytes: Bytes,
    trailers: Option<HeaderMap>,
}

impl Body for Copied {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let this = self.get_mut();
        let bytes = std::mem::take(&mut this.bytes);
        Poll::Ready(if bytes.is_empty() {
            this.trailers
                .take()
                .map(|fields| Ok(Frame::trailers(fields)))
        } else {
            Some(Ok(Frame::data(bytes)))
        })
    }

    fn size_hint(&self) -> SizeHint {
        let len = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX);
        SizeHint::with_exact(len)
    }
}
