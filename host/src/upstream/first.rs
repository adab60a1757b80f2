//! What came of an answer's body together with its head.
//!
//! Where the very first chunk is malformed, the head must not go out: a client that gets half a head and the end of its
//! connection learns nothing, where 502 would have told it. Nothing is waited for: only what is there already is looked at.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use http::header::TRANSFER_ENCODING;
use http::{HeaderMap, Response, Version};
use hyper::body::{Body as _, Frame, Incoming};

/// What came of an answer's body together with its head.
#[derive(Debug, Default)]
pub enum First {
    /// Nothing, as far as anybody looked.
    #[default]
    Nothing,
    /// These bytes.
    Data(Bytes),
    /// The fields at its end, and no bytes.
    Trailers(Box<HeaderMap>),
    /// All of it: there is none.
    Over,
}

impl From<Frame<Bytes>> for First {
    fn from(frame: Frame<Bytes>) -> Self {
        match frame.into_data() {
            Ok(bytes) => Self::Data(bytes),
            Err(frame) => match frame.into_trailers() {
                Ok(fields) => Self::Trailers(Box::new(fields)),
                Err(_) => Self::Nothing,
            },
        }
    }
}

impl First {
    /// Looks at a body in chunks. Others have nothing in them that could be malformed, and those of HTTP/2 are counted
    /// when they are taken.
    ///
    /// # Errors
    /// What is wrong with the first chunk.
    pub(super) async fn of(response: &mut Response<Incoming>) -> hyper::Result<Self> {
        if response.version() != Version::HTTP_11
            || !response.headers().contains_key(TRANSFER_ENCODING)
        {
            return Ok(Self::Nothing);
        }
        poll_fn(|cx| {
            let polled = Pin::new(response.body_mut()).poll_frame(cx);
            Poll::Ready(match polled {
                Poll::Pending => Ok(Self::Nothing),
                Poll::Ready(None) => Ok(Self::Over),
                Poll::Ready(Some(Ok(frame))) => Ok(frame.into()),
                Poll::Ready(Some(Err(error))) => Err(error),
            })
        })
        .await
    }
}
