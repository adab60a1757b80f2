//! Which version a client speaks where nobody has agreed on one: its first bytes tell (RFC 9113, 3.4).

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::rt::{Read, ReadBuf};

use super::guard::Guard;
use super::handshake::Version;
use crate::wire::Wire;

/// What a client that speaks HTTP/2 sends first.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the first bytes told.
pub(super) enum Told {
    /// The version, and the bytes that told it.
    Version(Version, Bytes),
    /// Nothing: the client took too long or closed, or this gateway is closing.
    Nothing,
}

/// Reads until the version is known, no further than the preface goes.
pub(super) async fn read(stream: &mut Wire, guard: &mut Guard) -> Told {
    let mut read = Reading {
        bytes: [0; PREFACE.len()],
        len: 0,
    };
    std::future::poll_fn(|cx| match read.poll(stream, cx) {
        Poll::Ready(told) => Poll::Ready(told.unwrap_or(Told::Nothing)),
        Poll::Pending if guard.activity.must_end() => Poll::Ready(Told::Nothing),
        Poll::Pending => guard.poll(cx).map(|_| Told::Nothing),
    })
    .await
}

struct Reading {
    bytes: [u8; PREFACE.len()],
    len: usize,
}

impl Reading {
    fn poll(&mut self, stream: &mut Wire, cx: &mut Context<'_>) -> Poll<io::Result<Told>> {
        loop {
            if let Some(version) = version(self.read()) {
                let bytes = Bytes::copy_from_slice(self.read());
                return Poll::Ready(Ok(Told::Version(version, bytes)));
            }
            let mut room = [MaybeUninit::uninit(); PREFACE.len()];
            let wanted = room.get_mut(self.len..).unwrap_or_default();
            let mut buffer = ReadBuf::uninit(wanted);
            ready!(Pin::new(&mut *stream).poll_read(cx, buffer.unfilled()))?;
            let more = buffer.filled();
            if more.is_empty() {
                return Poll::Ready(Ok(Told::Nothing));
            }
            let end = self.len + more.len();
            if let Some(place) = self.bytes.get_mut(self.len..end) {
                place.copy_from_slice(more);
            }
            self.len = end;
        }
    }

    fn read(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The version that these first bytes tell; none while they may become either.
pub(super) fn version(bytes: &[u8]) -> Option<Version> {
    if !PREFACE.starts_with(bytes) {
        Some(Version::Http1)
    } else if bytes.len() == PREFACE.len() {
        Some(Version::Http2)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_preface_is_http2() {
        assert_eq!(version(b""), None);
        assert_eq!(version(b"P"), None);
        assert_eq!(version(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"), None);
        assert_eq!(version(PREFACE), Some(Version::Http2));
        assert_eq!(version(b"G"), Some(Version::Http1));
        assert_eq!(version(b"POST"), Some(Version::Http1));
        assert_eq!(version(b"PRI * HTTP/1.1\r\n"), Some(Version::Http1));
    }
}
