//! An operation that a hook begins, and what it comes to. `ops` makes them; here stands only what one is.

use std::fmt;
use std::pin::Pin;

use http::{HeaderMap, StatusCode};
use swapgate_abi as abi;

/// What an operation came to.
#[derive(Debug)]
pub struct Done {
    /// `SG_OK`, an error of the contract, or what a function of the plugin returned.
    pub result: i32,
    /// What the plugin may read of it.
    pub data: Data,
}

impl Done {
    /// Without data.
    #[must_use]
    pub const fn with(result: i32) -> Self {
        Self {
            result,
            data: Data::None,
        }
    }

    /// With data.
    #[must_use]
    pub const fn of(data: Data) -> Self {
        Self {
            result: abi::SG_OK,
            data,
        }
    }
}

/// What the plugin may read of a result.
#[derive(Debug)]
pub enum Data {
    /// Nothing.
    None,
    /// The answer to a callout.
    Http(HttpAnswer),
    /// The addresses of a name, as texts.
    Resolved(Vec<String>),
    /// Nothing that is shown: what a function of the plugin left, released once the event was told.
    Held(Held),
}

/// Something that ends when the event was told, or when nobody wants it.
pub struct Held(#[expect(dead_code, reason = "kept, and dropped at its time")] Box<dyn Send>);

impl Held {
    /// Keeps something.
    #[must_use]
    pub fn new(kept: impl Send + 'static) -> Self {
        Self(Box::new(kept))
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held(..)")
    }
}

/// The answer to a callout.
#[derive(Debug)]
pub struct HttpAnswer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its whole body.
    pub body: bytes::Bytes,
}

/// A running operation.
pub type Operation = Pin<Box<dyn Future<Output = Done>>>;

/// Makes an operation on the thread that will run it.
pub type Begin = Box<dyn FnOnce() -> Operation + Send>;
