//! The window of a body: the bytes that arrived and that the plugin has not passed on.
//!
//! A view of it borrows the handle, so a change ends it:
//!
//! ```compile_fail,E0502
//! # use swapgate_plugin::{BodyFilterCall, HostError};
//! fn body_filter(body: &mut BodyFilterCall<'_>) -> Result<(), HostError> {
//!     let pieces = body.pieces()?;
//!     body.drain(1)?;
//!     println!("{:?}", pieces.iter().next());
//!     Ok(())
//! }
//! ```

use swapgate_abi::code;

use super::{BodyFilterCall, RequestBodyCall};
use crate::guest::export;
use crate::guest::response::{BodyFlow, Responded, Response};
use crate::status::HostError;
use crate::view::Pieces;

macro_rules! window {
    ($name:ident) => {
        impl $name<'_> {
            /// Whether this hook is called for the first time in this exchange.
            #[must_use]
            pub fn is_first(&self) -> bool {
                self.exchange.with & code::SG_BODY_FIRST != 0
            }

            /// Whether nothing comes after this window, which may be empty.
            #[must_use]
            pub fn is_end(&self) -> bool {
                self.exchange.with & code::SG_BODY_END != 0
            }

            /// How many bytes the window has.
            #[must_use]
            pub fn len(&self) -> usize {
                let len = self.raw.body_len().unwrap_or(0);
                len.try_into().unwrap_or(usize::MAX)
            }

            /// Whether the window has no bytes.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// The pieces of the window, without copying. Where one ends means nothing.
            ///
            /// # Errors
            ///
            /// Those of `body_pieces`.
            pub fn pieces(&self) -> Result<Pieces<'_>, HostError> {
                self.raw.body_pieces()
            }

            /// A copy of the window.
            ///
            /// # Errors
            ///
            /// Those of `body_pieces`.
            pub fn to_vec(&self) -> Result<Vec<u8>, HostError> {
                let mut bytes = Vec::with_capacity(self.len());
                for piece in self.pieces()?.iter() {
                    bytes.extend_from_slice(piece);
                }
                Ok(bytes)
            }

            /// Takes so many bytes off the front of the window: they are not passed on.
            ///
            /// # Errors
            ///
            /// [`HostError::Invalid`]: it has fewer. [`HostError::Forbidden`]: the plugin said it only observes.
            pub fn drain(&mut self, bytes: usize) -> Result<(), HostError> {
                self.raw.body_drain(bytes as u64)
            }

            /// Puts a copy of these bytes in the place of the window.
            ///
            /// # Errors
            ///
            /// [`HostError::TooLarge`]: beyond the limit of the route. [`HostError::Forbidden`]: as in `drain`.
            pub fn replace(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), HostError> {
                self.raw.body_replace(bytes.as_ref())
            }

            /// Adds a copy of these bytes to the end of the window.
            ///
            /// # Errors
            ///
            /// As `replace`.
            pub fn append(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), HostError> {
                self.raw.body_append(bytes.as_ref())
            }

            /// Adds bytes to the end of the window without copying. Their owner is dropped on any thread, once they are
            /// sent or thrown away.
            ///
            /// # Errors
            ///
            /// As `replace`.
            pub fn append_owned<B>(&mut self, bytes: B) -> Result<(), HostError>
            where
                B: AsRef<[u8]> + Send + 'static,
            {
                export::append_owned(&mut self.raw, bytes)
            }

            /// Holds the last so many bytes of the window back: they are the beginning of the next one. For what may go
            /// on in the next piece, such as half a word. Counts when the hook returns [`BodyFlow::Continue`].
            ///
            /// # Errors
            ///
            /// [`HostError::Invalid`]: more than the window has, or there is no next one (`is_end`).
            pub fn hold(&mut self, bytes: usize) -> Result<(), HostError> {
                self.raw.body_hold(bytes as u64)
            }
        }
    };
}

window!(RequestBodyCall);
window!(BodyFilterCall);

impl RequestBodyCall<'_> {
    /// Answers the request instead of the upstream, as long as no answer has begun:
    /// `return Ok(body.respond(&answer)?)`.
    ///
    /// # Errors
    ///
    /// As [`AccessCall::respond`](super::AccessCall::respond). [`HostError::WrongPhase`]: an answer has begun.
    pub fn respond(&mut self, response: &Response) -> Result<BodyFlow, HostError> {
        super::request::respond(&mut self.raw, response)?;
        Ok(BodyFlow::Respond(Responded(())))
    }
}
