//! The trait of a plugin, and one small trait per phase.
//!
//! - here: the plugin itself and its plain hooks;
//! - `waiting`: hooks that wait;
//! - `body`: hooks that see bodies and trailers;
//! - `life`: work outside of exchanges, and what the next version is told.

mod body;
mod life;
mod waiting;

pub use body::{BodyFilter, Lane, Need, RequestBody, Trailers};
pub use life::{Begin, Tick};
pub use waiting::{
    AsyncAccess, AsyncBodyFilter, AsyncHeaderFilter, AsyncRequestBody, AsyncRewrite,
};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::error::{ConfigError, Error};
use super::handle::{AccessCall, EndCall, HeaderFilterCall, LogCall, RewriteCall};
use super::response::Flow;

/// A plugin: what one configuration makes of it is an instance, and hooks run on instances.
///
/// Hooks of one instance run on several threads at once, hence `Send + Sync`; what they share needs a lock or atomics.
/// They must not block: a worker that waits serves nobody. [`export!`](crate::export) finds out which of the phase
/// traits a type implements; a phase it does not implement costs nothing.
pub trait Plugin: Sized + Send + Sync + 'static {
    /// Where it stands in every phase, highest first, unless a use of it says otherwise.
    const PRIORITY: i32 = 0;

    /// What it tells the gateway about itself; see [`flags`](crate::flags).
    const FLAGS: u32 = 0;

    /// Its configuration. The JSON Schema of this type is shipped in the file, and the gateway checks against it
    /// before [`configure`](Self::configure) is called. `#[serde(deny_unknown_fields)]` makes typos errors.
    type Config: DeserializeOwned + JsonSchema;

    /// Makes an instance out of one configuration. Called once per configuration, outside of requests, and beforehand
    /// in a throw-away process: no connections, threads or lasting files here, they belong into [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// What is wrong with the configuration, where, and how to mend it. Traffic keeps the configuration it had.
    fn configure(config: Self::Config) -> Result<Self, ConfigError>;

    /// Prepares the image, once, before any instance exists.
    ///
    /// # Errors
    ///
    /// Why this file cannot be used; it is refused with that text.
    fn load() -> Result<(), Error> {
        Ok(())
    }

    /// Undoes [`load`](Self::load), once, when the last instance is gone.
    ///
    /// # Errors
    ///
    /// Counted and logged; the image is retired all the same.
    fn unload() -> Result<(), Error> {
        Ok(())
    }

    /// The instance is about to serve. Called in the serving process only. [`Begin`] is for what goes on from here.
    ///
    /// # Errors
    ///
    /// Why it cannot; the change that brought this instance is refused.
    fn start(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// Before routing; instances attached globally only. The one place where method, path and query may be set.
pub trait Rewrite: Plugin {
    /// Looks at the request, changes it, answers it or lets it pass.
    ///
    /// # Errors
    ///
    /// The exchange is answered as the use's `on_error` says; the text is for the log, never for the client.
    fn rewrite(&self, request: &mut RewriteCall<'_>) -> Result<Flow, Error>;
}

/// After routing, before the upstream.
pub trait Access: Plugin {
    /// Looks at the request, changes its headers, answers it or lets it pass.
    ///
    /// # Errors
    ///
    /// The exchange is answered as the use's `on_error` says; the text is for the log, never for the client.
    fn access(&self, request: &mut AccessCall<'_>) -> Result<Flow, Error>;
}

/// The head of the answer is there, whoever made it.
pub trait HeaderFilter: Plugin {
    /// Looks at the answer and changes its headers.
    ///
    /// # Errors
    ///
    /// The exchange is answered as the use's `on_error` says; the text is for the log, never for the client.
    fn header_filter(&self, response: &mut HeaderFilterCall<'_>) -> Result<(), Error>;
}

/// The exchange is over and will not change any more; exactly once.
pub trait Log: Plugin {
    /// Takes note of the exchange.
    ///
    /// # Errors
    ///
    /// Counted and logged; the exchange is over anyway.
    fn log(&self, exchange: &mut LogCall<'_>) -> Result<(), Error>;
}

/// The last call for an exchange, also after a panic or a client that went away; exactly once.
///
/// State left with [`set_state`](crate::guest::handle::Exchange::set_state) is dropped without this; most plugins do
/// not need it.
pub trait RequestEnd: Plugin {
    /// Lets go of what belongs to the exchange.
    fn request_end(&self, exchange: &mut EndCall<'_>);
}
