//! One typed handle per phase. What a phase does not allow does not compile:
//!
//! ```compile_fail,E0599
//! # use swapgate_plugin::{AccessCall, HostError};
//! fn access(request: &mut AccessCall<'_>) -> Result<(), HostError> {
//!     request.set_path("/elsewhere") // only before routing
//! }
//! ```
//!
//! A view of a header borrows the handle, so a change ends it:
//!
//! ```compile_fail,E0502
//! # use swapgate_plugin::{AccessCall, HostError};
//! fn access(request: &mut AccessCall<'_>) -> Result<(), HostError> {
//!     let key = request.header("x-api-key");
//!     request.remove_header("x-api-key")?;
//!     println!("{key:?}");
//!     Ok(())
//! }
//! ```
//!
//! And a handle stays on its thread:
//!
//! ```compile_fail,E0277
//! # use swapgate_plugin::AccessCall;
//! fn access(request: &mut AccessCall<'_>) {
//!     std::thread::scope(|scope| scope.spawn(|| request.path().len()).join().ok());
//! }
//! ```

pub mod body;
mod connection;
pub(crate) mod request;
mod response;
mod trailers;
pub mod waiting;

use std::any::Any;
use std::ops::{Deref, DerefMut};

use swapgate_abi::code;

pub use connection::{ClientCertificate, Connection, Tls};
pub use request::Upstream;

use super::call::Raw;
use super::export;
use crate::status::HostError;
use crate::view::{Headers, Value};

/// What every phase has: the request, variables, state, the consumer.
#[derive(Debug)]
pub struct Exchange<'a> {
    raw: Raw<'a>,
    /// The last argument of the hook: flags of a body, or the lane; else 0.
    with: u32,
}

impl<'a> Exchange<'a> {
    /// The functions of the contract as they are, for what the typed handles leave out.
    pub fn raw(&mut self) -> &mut Raw<'a> {
        &mut self.raw
    }

    /// A text attribute, empty where the gateway does not know it.
    fn text(&self, attr: u32) -> &str {
        self.known_text(attr).unwrap_or("")
    }

    fn known_text(&self, attr: u32) -> Option<&str> {
        self.raw.attr_text(attr).ok().and_then(Value::to_str)
    }

    fn number(&self, attr: u32) -> Option<u64> {
        self.raw.attr_number(attr).ok()
    }

    /// The method of the request.
    #[must_use]
    pub fn method(&self) -> &str {
        self.text(code::SG_ATTR_METHOD)
    }

    /// The scheme the client used.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.text(code::SG_ATTR_SCHEME)
    }

    /// The host the client asked for, lower case, without port.
    #[must_use]
    pub fn host(&self) -> &str {
        self.text(code::SG_ATTR_HOST)
    }

    /// The normalised path.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text(code::SG_ATTR_PATH)
    }

    /// The query without its question mark; empty if there is none.
    #[must_use]
    pub fn query(&self) -> &str {
        self.text(code::SG_ATTR_QUERY)
    }

    /// The address of the client, as trusted proxies report it.
    #[must_use]
    pub fn client_address(&self) -> &str {
        self.text(code::SG_ATTR_CLIENT_ADDRESS)
    }

    /// The other end of the connection, with port.
    #[must_use]
    pub fn peer_address(&self) -> &str {
        self.text(code::SG_ATTR_PEER_ADDRESS)
    }

    /// This end of the connection, with port.
    #[must_use]
    pub fn local_address(&self) -> &str {
        self.text(code::SG_ATTR_LOCAL_ADDRESS)
    }

    /// The id this exchange has in logs and in the answer.
    #[must_use]
    pub fn request_id(&self) -> &str {
        self.text(code::SG_ATTR_REQUEST_ID)
    }

    /// The first value of a header of the request; the name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Value<'_>> {
        self.raw.header_get(code::SG_HEADERS_REQUEST, name).ok()
    }

    /// Every value of a header of the request.
    pub fn header_values<'n>(&'n self, name: &'n str) -> impl Iterator<Item = Value<'n>> {
        values(&self.raw, code::SG_HEADERS_REQUEST, name)
    }

    /// All headers of the request.
    ///
    /// # Errors
    ///
    /// Those of `headers_list`.
    pub fn headers(&self) -> Result<Headers<'_>, HostError> {
        self.raw.headers_list(code::SG_HEADERS_REQUEST)
    }

    /// A variable that plugins of this exchange share.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<Value<'_>> {
        self.raw.var_get(name).ok()
    }

    /// Sets a variable.
    ///
    /// # Errors
    ///
    /// [`HostError::TooLarge`]: names up to 128 bytes, 64 variables and 64 KiB in all.
    pub fn set_var(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HostError> {
        self.raw.var_set(name, value.as_ref())
    }

    /// The authenticated consumer.
    #[must_use]
    pub fn consumer(&self) -> Option<&str> {
        self.raw.consumer_get().ok().and_then(Value::to_str)
    }

    /// The state this instance left in this exchange, if it is of that type.
    #[must_use]
    pub fn state<T: Any + Send>(&self) -> Option<&T> {
        export::state_ref(&self.raw)?.downcast_ref()
    }

    /// The same, to change it.
    #[must_use]
    pub fn state_mut<T: Any + Send>(&mut self) -> Option<&mut T> {
        export::state_mut(&mut self.raw)?.downcast_mut()
    }

    /// Leaves a state for the later hooks of this instance in this exchange, in place of the one before, which is dropped.
    /// This one is dropped when the exchange is over.
    ///
    /// # Errors
    ///
    /// Those of `state_set`; the state is dropped then.
    pub fn set_state<T: Any + Send>(&mut self, state: T) -> Result<(), HostError> {
        export::set_state(&mut self.raw, Box::new(state))
    }
}

/// Walks the values of one header.
fn values<'n>(raw: &'n Raw<'_>, map: u32, name: &'n str) -> impl Iterator<Item = Value<'n>> {
    (0..).map_while(move |index| raw.header_nth(map, name, index).ok())
}

macro_rules! handles {
    ($($(#[$meta:meta])* $name:ident)*) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name<'a> {
            exchange: Exchange<'a>,
        }

        impl<'a> $name<'a> {
            pub(crate) fn new(raw: Raw<'a>, with: u32) -> Self {
                Self { exchange: Exchange { raw, with } }
            }
        }

        impl<'a> Deref for $name<'a> {
            type Target = Exchange<'a>;

            fn deref(&self) -> &Exchange<'a> {
                &self.exchange
            }
        }

        impl<'a> DerefMut for $name<'a> {
            fn deref_mut(&mut self) -> &mut Exchange<'a> {
                &mut self.exchange
            }
        }
    )*};
}

handles! {
    /// What `rewrite` gets.
    RewriteCall
    /// What `access` gets.
    AccessCall
    /// What `header_filter` gets.
    HeaderFilterCall
    /// What `log` gets.
    LogCall
    /// What `request_end` gets.
    EndCall
    /// What `request_body` gets: the window of the body, and what becomes of it.
    RequestBodyCall
    /// What `body_filter` gets: the window of the body, and what becomes of it.
    BodyFilterCall
    /// What `trailers` gets.
    TrailersCall
}
