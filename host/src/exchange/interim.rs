//! Interim answers (RFC 9110, 15.2) on their way to a client of HTTP/1.1.
//!
//! hyper has no way to send them, so the client's socket writes them itself, whenever hyper has written all that it has: then
//! none can come into the middle of another message. The answer that they come before waits until they have left.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, BufMut as _, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::rt::Write;

use super::forwarding;
use crate::context::headers::{Survey, strip_hop_by_hop};
use crate::upstream::interim::Interim;

/// What may wait for a client; what does not fit in is not sent, for it only helps.
const WAITING: usize = 64 * 1024;

/// What waits to be written between two messages of a connection.
#[derive(Default)]
pub struct Outbox {
    waiting: RefCell<BytesMut>,
    /// Whether a part of it was written, so that the rest has to come before anything else.
    begun: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Outbox {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    /// Whether what waits has been written in part.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.begun.get()
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// What the connection says.
    pub fn poll_send(
        &self,
        stream: &mut (impl Write + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut waiting = self.waiting.borrow_mut();
        while !waiting.is_empty() {
            match ready!(Pin::new(&mut *stream).poll_write(cx, &waiting))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => waiting.advance(written),
            }
            self.begun.set(true);
        }
        self.begun.set(false);
        *waiting = BytesMut::new();
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        Poll::Ready(Ok(()))
    }

    /// Writes these bytes next, before anything else.
    pub fn put(&self, bytes: &[u8]) {
        self.waiting.borrow_mut().extend_from_slice(bytes);
        self.begun.set(true);
    }

    /// Passes one on, without what is said of its way here.
    pub(super) fn pass(&self, interim: Interim, via: Option<&HeaderValue>) {
        let Interim {
            status,
            mut headers,
        } = interim;
        let survey = Survey::of(&headers);
        strip_hop_by_hop(&mut headers, survey);
        // It has no body, whatever it says (RFC 9110, 8.6 and RFC 9112, 6.1).
        headers.remove(CONTENT_LENGTH);
        headers.remove(TRANSFER_ENCODING);
        forwarding::via(&mut headers, via);
        let head = written(status, &headers);
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len().saturating_add(head.len()) <= WAITING {
            waiting.extend_from_slice(&head);
        }
    }

    /// Waits until all of it has left.
    pub(super) async fn has_left(&self) {
        poll_fn(|cx| {
            if self.is_empty() {
                return Poll::Ready(());
            }
            self.waker.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Drops what may be dropped: what comes next waits for none of it.
    pub(super) fn forget(&self) {
        if !self.is_begun() {
            *self.waiting.borrow_mut() = BytesMut::new();
        }
    }
}

fn written(status: StatusCode, headers: &HeaderMap) -> BytesMut {
    let mut head = BytesMut::new();
    head.put_slice(b"HTTP/1.1 ");
    head.put_slice(status.as_str().as_bytes());
    head.put_u8(b' ');
    head.put_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    head.put_slice(b"\r\n");
    for (name, value) in headers {
        head.put_slice(name.as_str().as_bytes());
        head.put_slice(b": ");
        head.put_slice(value.as_bytes());
        head.put_slice(b"\r\n");
    }
    head.put_slice(b"\r\n");
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes at once, and every other time nothing.
    struct Narrow {
        took: Vec<u8>,
        each: usize,
        blocked: bool,
    }

    impl Write for Narrow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.blocked = !self.blocked;
            if self.blocked {
                return Poll::Pending;
            }
            let len = buf.len().min(self.each);
            self.took.extend_from_slice(&buf[..len]);
            Poll::Ready(Ok(len))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn interim(fields: &[(&'static str, &str)]) -> Interim {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        Interim {
            status: StatusCode::EARLY_HINTS,
            headers,
        }
    }

    #[test]
    fn only_what_is_for_the_client_is_passed_on() {
        let outbox = Outbox::default();
        let fields = [
            ("link", "</a>"),
            ("connection", "x-own"),
            ("x-own", "1"),
            ("content-length", "3"),
            ("transfer-encoding", "chunked"),
        ];
        outbox.pass(
            interim(&fields),
            Some(&HeaderValue::from_static("1.1 swapgate")),
        );
        let waiting = outbox.waiting.borrow();
        let text = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nvia: 1.1 swapgate\r\n\r\n";
        assert_eq!(*waiting, text.as_bytes());
    }

    #[test]
    fn what_was_begun_is_finished_and_the_rest_may_be_dropped() {
        let mut cx = Context::from_waker(Waker::noop());
        let outbox = Outbox::default();
        outbox.pass(interim(&[]), None);
        outbox.forget();
        assert!(outbox.is_empty());
        outbox.pass(interim(&[]), None);
        let whole = outbox.waiting.borrow().clone();
        let mut client = Narrow {
            took: Vec::new(),
            each: 5,
            blocked: true,
        };
        while outbox.poll_send(&mut client, &mut cx).is_pending() {
            assert_eq!(outbox.is_begun(), !client.took.is_empty());
            outbox.forget();
        }
        assert!(outbox.is_empty() && !outbox.is_begun());
        assert_eq!(client.took, whole);
    }

    #[test]
    fn a_client_that_takes_nothing_costs_no_more_than_so_much() {
        let outbox = Outbox::default();
        for _ in 0..20 {
            outbox.pass(interim(&[("link", &"x".repeat(10_000))]), None);
        }
        let waiting = outbox.waiting.borrow().len();
        assert!((50_000..=WAITING).contains(&waiting), "{waiting}");
    }
}
