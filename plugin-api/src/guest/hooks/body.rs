//! Hooks that see bodies and trailers.

use swapgate_abi::code;

use super::Plugin;
use crate::guest::error::Error;
use crate::guest::handle::{BodyFilterCall, RequestBodyCall, TrailersCall};
use crate::guest::response::BodyFlow;

/// What a plugin needs of a body. A chain that needs nothing never touches a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    None,
    /// To see every byte and change none; length and framing stay as they are.
    Observe,
    /// To change what passes. The message loses its length, strong validators, digests and ranges.
    Transform,
    /// As [`Transform`](Self::Transform), and to have so many bytes at once; 0: as many as the route admits.
    Buffer(u64),
}

impl Need {
    /// The number it crosses the line with.
    pub(crate) const fn code(self) -> u32 {
        match self {
            Self::None => code::SG_BODY_NONE,
            Self::Observe => code::SG_BODY_OBSERVE,
            Self::Transform => code::SG_BODY_TRANSFORM,
            Self::Buffer(_) => code::SG_BODY_BUFFER,
        }
    }
}

/// A lane of an exchange: what goes to the upstream, or what comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// The request.
    Request,
    /// The answer.
    Response,
}

/// Bytes of the request arrived, or its end; after `access`. The plugins of a chain see it one after another: each what the
/// one before it passed on.
///
/// A body is a stream of bytes, and where its pieces end means nothing. What has arrived and was not passed on is the window.
///
/// ```
/// # use swapgate_plugin::{BodyFlow, ConfigError, Error, Need, Plugin, RequestBody, RequestBodyCall};
/// struct Shout;
/// # impl Plugin for Shout {
/// #     type Config = ();
/// #     fn configure((): ()) -> Result<Self, ConfigError> { Ok(Self) }
/// # }
///
/// impl RequestBody for Shout {
///     const REQUEST_NEED: Need = Need::Transform;
///
///     fn request_body(&self, body: &mut RequestBodyCall<'_>) -> Result<BodyFlow, Error> {
///         let louder = body.to_vec()?.to_ascii_uppercase();
///         body.replace(louder)?;
///         Ok(BodyFlow::Continue)
///     }
/// }
/// ```
pub trait RequestBody: Plugin {
    /// What it needs of the bodies of requests.
    const REQUEST_NEED: Need;

    /// Looks at the window and says what becomes of it.
    ///
    /// # Errors
    ///
    /// Before an answer began the exchange is answered as the use's `on_error` says; the text is for the log.
    fn request_body(&self, body: &mut RequestBodyCall<'_>) -> Result<BodyFlow, Error>;
}

/// Bytes of the answer arrived, or its end, whoever made it; after `header_filter`. See [`RequestBody`].
pub trait BodyFilter: Plugin {
    /// What it needs of the bodies of answers.
    const RESPONSE_NEED: Need;

    /// Looks at the window and says what becomes of it.
    ///
    /// # Errors
    ///
    /// The client's connection is reset, once the head is out; the text is for the log.
    fn body_filter(&self, body: &mut BodyFilterCall<'_>) -> Result<BodyFlow, Error>;
}

/// A message ended with trailers; after the last call of [`RequestBody`] or [`BodyFilter`].
pub trait Trailers: Plugin {
    /// What it needs of the bodies of requests besides what [`RequestBody`] says; anything but `None` brings trailers.
    const REQUEST_NEED: Need = Need::None;

    /// What it needs of the bodies of answers besides what [`BodyFilter`] says; anything but `None` brings trailers.
    const RESPONSE_NEED: Need = Need::None;

    /// Looks at the trailers and changes them.
    ///
    /// # Errors
    ///
    /// As those of the body's hook.
    fn trailers(&self, trailers: &mut TrailersCall<'_>) -> Result<(), Error>;
}
