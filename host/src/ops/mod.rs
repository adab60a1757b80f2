//! What plugins wait for: operations of the gateway, begun by one hook and told to another when they are done.
//!
//! An operation is a future that comes to a [`Done`]. It runs on the thread of whoever waits for it: on the worker of
//! its exchange, or on the thread of the background. So it is made by a function that may be sent there, and need not be
//! sent itself. This room knows no plugin: `plugin::ffi` begins operations and hands over what they came to.

pub mod background;
pub mod blocking;
pub mod callout;
pub mod directory;
pub mod kv;
pub mod resolve;
pub mod services;
pub mod wake;

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// A name for an operation or a wake token; never 0, never used twice in a process, below 2^48 as long as a process lives.
#[must_use]
pub fn next_token() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
