//! The handles of async hooks. A view must not live across an `await`, so these give copies, or lend the plain handle of
//! the phase to a closure:
//!
//! ```
//! # use swapgate_plugin::{AsyncAccessCall, Error};
//! # async fn access(request: AsyncAccessCall) -> Result<(), Error> {
//! let key = request.header("x-api-key"); // a copy
//! let long = request.with(|request| request.path().len() > 100)?;
//! # drop((key, long)); Ok(())
//! # }
//! ```
//!
//! Nothing borrowed gets out of the closure:
//!
//! ```compile_fail
//! # use swapgate_plugin::{AsyncAccessCall, Error};
//! # async fn access(request: AsyncAccessCall) -> Result<(), Error> {
//! let path = request.with(|request| request.path())?;
//! # Ok(())
//! # }
//! ```
//!
//! And they stay on their thread:
//!
//! ```compile_fail,E0277
//! # use swapgate_plugin::AsyncAccessCall;
//! fn access(request: AsyncAccessCall) {
//!     std::thread::spawn(move || request.path());
//! }
//! ```

use std::marker::PhantomData;

use swapgate_abi::{ExchangeTok, code};

use super::{AccessCall, BodyFilterCall, HeaderFilterCall, RequestBodyCall, RewriteCall};
use crate::guest::response::{BodyFlow, Flow, Response};
use crate::guest::task;
use crate::status::HostError;

macro_rules! waiting {
    ($($(#[$meta:meta])* $name:ident lends $plain:ident)*) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name {
            exchange: ExchangeTok,
            with: u32,
            // Tasks never leave their worker.
            life: PhantomData<*mut ()>,
        }

        impl $name {
            pub(crate) fn new(exchange: ExchangeTok, with: u32) -> Self {
                let life = PhantomData;
                Self { exchange, with, life }
            }

            /// Lends the plain handle of this phase. Do not keep anything waiting in here.
            ///
            /// # Errors
            ///
            /// [`HostError::Stale`]: from within another such closure, or after the hook ended.
            /// [`HostError::WrongThread`]: outside of any async hook.
            pub fn with<R>(&self, run: impl FnOnce(&mut $plain<'_>) -> R) -> Result<R, HostError> {
                let run = |raw: crate::guest::call::Raw<'_>| run(&mut $plain::new(raw, self.with));
                task::with_raw(self.exchange, run)
            }

            fn text(&self, read: impl FnOnce(&$plain<'_>) -> String) -> String {
                self.with(|plain| read(plain)).unwrap_or_default()
            }

            /// The method of the request.
            #[must_use]
            pub fn method(&self) -> String {
                self.text(|plain| plain.method().to_owned())
            }

            /// The host the client asked for, lower case, without port.
            #[must_use]
            pub fn host(&self) -> String {
                self.text(|plain| plain.host().to_owned())
            }

            /// The normalised path.
            #[must_use]
            pub fn path(&self) -> String {
                self.text(|plain| plain.path().to_owned())
            }

            /// The query without its question mark; empty if there is none.
            #[must_use]
            pub fn query(&self) -> String {
                self.text(|plain| plain.query().to_owned())
            }

            /// The address of the client, as trusted proxies report it.
            #[must_use]
            pub fn client_address(&self) -> String {
                self.text(|plain| plain.client_address().to_owned())
            }

            /// The id this exchange has in logs and in the answer.
            #[must_use]
            pub fn request_id(&self) -> String {
                self.text(|plain| plain.request_id().to_owned())
            }

            /// The first value of a header of the request, with replacement characters where it is not UTF-8.
            #[must_use]
            pub fn header(&self, name: &str) -> Option<String> {
                let read = |plain: &mut $plain<'_>| {
                    plain.header(name).map(|value| value.to_lossy().into_owned())
                };
                self.with(read).ok().flatten()
            }

            /// A variable that plugins of this exchange share.
            #[must_use]
            pub fn var(&self, name: &str) -> Option<Vec<u8>> {
                let read = |plain: &mut $plain<'_>| plain.var(name).map(|value| value.to_vec());
                self.with(read).ok().flatten()
            }

            /// Sets a variable.
            ///
            /// # Errors
            ///
            /// Those of `var_set`.
            pub fn set_var(&self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HostError> {
                self.with(|plain| plain.set_var(name, value))?
            }

            /// The authenticated consumer.
            #[must_use]
            pub fn consumer(&self) -> Option<String> {
                let read = |plain: &mut $plain<'_>| plain.consumer().map(str::to_owned);
                self.with(read).ok().flatten()
            }
        }
    )*};
}

waiting! {
    /// What an async `rewrite` gets.
    AsyncRewriteCall lends RewriteCall
    /// What an async `access` gets.
    AsyncAccessCall lends AccessCall
    /// What an async `header_filter` gets.
    AsyncHeaderFilterCall lends HeaderFilterCall
    /// What an async `request_body` gets.
    AsyncRequestBodyCall lends RequestBodyCall
    /// What an async `body_filter` gets.
    AsyncBodyFilterCall lends BodyFilterCall
}

macro_rules! before_the_upstream {
    ($name:ident) => {
        impl $name {
            /// Replaces every value of a header of the request by one.
            ///
            /// # Errors
            ///
            /// Those of `header_set`.
            pub fn set_header(&self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HostError> {
                self.with(|plain| plain.set_header(name, value))?
            }

            /// Removes a header of the request with all its values; there need not be one.
            ///
            /// # Errors
            ///
            /// Those of `header_remove`.
            pub fn remove_header(&self, name: &str) -> Result<(), HostError> {
                self.with(|plain| plain.remove_header(name))?
            }

            /// Names the consumer this request belongs to.
            ///
            /// # Errors
            ///
            /// Those of `consumer_set`.
            pub fn set_consumer(&self, consumer: &str) -> Result<(), HostError> {
                self.with(|plain| plain.set_consumer(consumer))?
            }

            /// Answers the request instead of the upstream: `return Ok(request.respond(&answer)?)`.
            ///
            /// # Errors
            ///
            /// Those of `respond`.
            pub fn respond(&self, response: &Response) -> Result<Flow, HostError> {
                self.with(|plain| plain.respond(response))?
            }
        }
    };
}

before_the_upstream!(AsyncRewriteCall);
before_the_upstream!(AsyncAccessCall);

macro_rules! body {
    ($name:ident) => {
        impl $name {
            /// Whether this hook is called for the first time in this exchange.
            #[must_use]
            pub fn is_first(&self) -> bool {
                self.with & code::SG_BODY_FIRST != 0
            }

            /// Whether nothing comes after this window, which may be empty.
            #[must_use]
            pub fn is_end(&self) -> bool {
                self.with & code::SG_BODY_END != 0
            }

            /// A copy of the window.
            ///
            /// # Errors
            ///
            /// Those of `body_pieces`.
            pub fn to_vec(&self) -> Result<Vec<u8>, HostError> {
                self.with(|plain| plain.to_vec())?
            }

            /// Puts a copy of these bytes in the place of the window.
            ///
            /// # Errors
            ///
            /// Those of `body_replace`.
            pub fn replace(&self, bytes: impl AsRef<[u8]>) -> Result<(), HostError> {
                self.with(|plain| plain.replace(bytes))?
            }
        }
    };
}

body!(AsyncRequestBodyCall);
body!(AsyncBodyFilterCall);

impl AsyncRequestBodyCall {
    /// Answers the request instead of the upstream, as long as no answer has begun.
    ///
    /// # Errors
    ///
    /// Those of `respond`.
    pub fn respond(&self, response: &Response) -> Result<BodyFlow, HostError> {
        self.with(|plain| plain.respond(response))?
    }
}

impl AsyncHeaderFilterCall {
    /// The status of the answer; 0 where there was none.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.with(|plain| plain.status()).unwrap_or(0)
    }

    /// The first value of a header of the answer, with replacement characters where it is not UTF-8.
    #[must_use]
    pub fn response_header(&self, name: &str) -> Option<String> {
        let read = |plain: &mut HeaderFilterCall<'_>| {
            let value = plain.response_header(name);
            value.map(|value| value.to_lossy().into_owned())
        };
        self.with(read).ok().flatten()
    }

    /// Replaces every value of a header of the answer by one.
    ///
    /// # Errors
    ///
    /// Those of `header_set`.
    pub fn set_response_header(
        &self,
        name: &str,
        value: impl AsRef<[u8]>,
    ) -> Result<(), HostError> {
        self.with(|plain| plain.set_response_header(name, value))?
    }
}
