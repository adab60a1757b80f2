//! What an instance hands over to the one that takes its place.

use std::error::Error as StdError;
use std::fmt;

use super::error::Error;
use super::hooks::Plugin;

/// A plugin whose instances know something that must not be lost when another version or another configuration takes
/// over: counters, caches, sessions.
///
/// The gateway asks the old instance just before the new one starts; requests still run on the old one meanwhile and for
/// a while after, and what they change then is lost. Both calls have a deadline and run outside of requests.
pub trait State: Plugin {
    /// The version of the format that [`export_state`](Self::export_state) writes. Count it up when the format changes,
    /// and go on reading the older ones in [`import_state`](Self::import_state).
    const FORMAT: u32;

    /// Writes down what the next instance should know; none if there is nothing.
    ///
    /// # Errors
    ///
    /// Why it cannot be written.
    fn export_state(&self) -> Result<Option<Vec<u8>>, Error>;

    /// Takes over what an earlier instance wrote, in this format or another one. Called after
    /// [`configure`](Plugin::configure) and before [`start`](Plugin::start). What belongs to another configuration than
    /// the own one may be left out: that is no error.
    ///
    /// # Errors
    ///
    /// [`ImportError::Format`] for a format this version does not read, or why the bytes are not what they should be. The
    /// gateway then makes an empty instance, or keeps the old one, as its configuration says.
    fn import_state(&mut self, format: u32, state: &[u8]) -> Result<(), ImportError>;
}

/// Why a state is not taken over. Any error converts into it with `?`.
#[derive(Debug)]
pub enum ImportError {
    /// This version does not read that format.
    Format,
    /// The bytes are not what they should be.
    Failed(Error),
}

impl ImportError {
    /// An error with this text.
    pub fn new(text: impl fmt::Display) -> Self {
        Self::Failed(Error::new(text))
    }
}

impl<E: StdError + 'static> From<E> for ImportError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}
