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

use std::any::Any;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use swapgate_abi::code;

use super::call::Raw;
use super::export;
use super::response::{Flow, Responded, Response};
use crate::status::HostError;
use crate::view::{Headers, Value};

/// What every phase has: the request, variables, state, the consumer.
#[derive(Debug)]
pub struct Exchange<'a> {
    raw: Raw<'a>,
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

    /// Leaves a state for the later hooks of this instance in this exchange, in place of the one before. All of them are
    /// dropped when the exchange is over, so change a state rather than replace it time and again.
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
            pub(crate) fn new(raw: Raw<'a>) -> Self {
                Self { exchange: Exchange { raw } }
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
}

impl RewriteCall<'_> {
    /// Sets the method.
    ///
    /// # Errors
    ///
    /// [`HostError::Invalid`]: not a method.
    pub fn set_method(&mut self, method: &str) -> Result<(), HostError> {
        self.raw.attr_set(code::SG_ATTR_METHOD, method.as_bytes())
    }

    /// Sets the path; the gateway normalises it again.
    ///
    /// # Errors
    ///
    /// [`HostError::Invalid`]: not a path.
    pub fn set_path(&mut self, path: &str) -> Result<(), HostError> {
        self.raw.attr_set(code::SG_ATTR_PATH, path.as_bytes())
    }

    /// Sets the query, without a question mark; empty takes it away.
    ///
    /// # Errors
    ///
    /// [`HostError::Invalid`]: not a query.
    pub fn set_query(&mut self, query: &str) -> Result<(), HostError> {
        self.raw.attr_set(code::SG_ATTR_QUERY, query.as_bytes())
    }
}

/// What `rewrite` and `access` have in common: the request can still be changed or answered.
macro_rules! before_the_upstream {
    ($name:ident) => {
        impl $name<'_> {
            /// Replaces every value of a header of the request by one.
            ///
            /// # Errors
            ///
            /// [`HostError::Invalid`]: not a header name or value. [`HostError::Forbidden`]: it belongs to the gateway.
            pub fn set_header(
                &mut self,
                name: &str,
                value: impl AsRef<[u8]>,
            ) -> Result<(), HostError> {
                let map = code::SG_HEADERS_REQUEST;
                self.raw.header_set(map, name, value.as_ref())
            }

            /// Adds a value to a header of the request.
            ///
            /// # Errors
            ///
            /// As `set_header`.
            pub fn append_header(
                &mut self,
                name: &str,
                value: impl AsRef<[u8]>,
            ) -> Result<(), HostError> {
                let map = code::SG_HEADERS_REQUEST;
                self.raw.header_append(map, name, value.as_ref())
            }

            /// Removes a header of the request with all its values; there need not be one.
            ///
            /// # Errors
            ///
            /// As `set_header`.
            pub fn remove_header(&mut self, name: &str) -> Result<(), HostError> {
                self.raw.header_remove(code::SG_HEADERS_REQUEST, name)
            }

            /// Names the consumer this request belongs to.
            ///
            /// # Errors
            ///
            /// [`HostError::Invalid`]: empty. [`HostError::TooLarge`]: more than 256 bytes.
            pub fn set_consumer(&mut self, consumer: &str) -> Result<(), HostError> {
                self.raw.consumer_set(consumer.as_bytes())
            }

            /// Answers the request instead of the upstream: `return Ok(request.respond(&answer)?)`.
            ///
            /// # Errors
            ///
            /// As `set_header`; also a status outside of 200 to 599.
            pub fn respond(&mut self, response: &Response) -> Result<Flow, HostError> {
                let headers: Vec<(&str, &[u8])> = response
                    .headers
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_slice()))
                    .collect();
                let status = u32::from(response.status);
                self.raw.respond(status, &headers, &response.body)?;
                Ok(Flow::Respond(Responded(())))
            }
        }
    };
}

before_the_upstream!(RewriteCall);
before_the_upstream!(AccessCall);

/// What there is once the request is routed.
macro_rules! after_routing {
    ($name:ident) => {
        impl $name<'_> {
            /// The name of the route, if one matched.
            #[must_use]
            pub fn route(&self) -> Option<&str> {
                self.known_text(code::SG_ATTR_ROUTE)
            }

            /// The name of the service, if a route matched.
            #[must_use]
            pub fn service(&self) -> Option<&str> {
                self.known_text(code::SG_ATTR_SERVICE)
            }

            /// A parameter of the matched path pattern, as it stands in the path.
            #[must_use]
            pub fn param(&self, name: &str) -> Option<&str> {
                self.raw.param_get(name).ok().and_then(Value::to_str)
            }

            /// All parameters, names and values, in the order of the pattern.
            pub fn params(&self) -> impl Iterator<Item = (Value<'_>, Value<'_>)> {
                (0..).map_while(|index| self.raw.param_nth(index).ok())
            }
        }
    };
}

after_routing!(AccessCall);
after_routing!(HeaderFilterCall);
after_routing!(LogCall);
after_routing!(EndCall);

/// What there is once there is an answer.
macro_rules! after_the_head {
    ($name:ident) => {
        impl $name<'_> {
            /// The status of the answer; 0 where there was none.
            #[must_use]
            pub fn status(&self) -> u16 {
                let status = self.number(code::SG_ATTR_STATUS);
                status
                    .and_then(|status| status.try_into().ok())
                    .unwrap_or(0)
            }

            /// The first value of a header of the answer; the name in any case.
            #[must_use]
            pub fn response_header(&self, name: &str) -> Option<Value<'_>> {
                self.raw.header_get(code::SG_HEADERS_RESPONSE, name).ok()
            }

            /// Every value of a header of the answer.
            pub fn response_header_values<'n>(
                &'n self,
                name: &'n str,
            ) -> impl Iterator<Item = Value<'n>> {
                values(&self.raw, code::SG_HEADERS_RESPONSE, name)
            }

            /// All headers of the answer.
            ///
            /// # Errors
            ///
            /// Those of `headers_list`.
            pub fn response_headers(&self) -> Result<Headers<'_>, HostError> {
                self.raw.headers_list(code::SG_HEADERS_RESPONSE)
            }

            /// The address of the target that answered; none where the gateway or a plugin made the answer.
            #[must_use]
            pub fn target(&self) -> Option<&str> {
                self.known_text(code::SG_ATTR_TARGET)
            }

            /// From the choice of a target to the head of its answer.
            #[must_use]
            pub fn upstream_time(&self) -> Option<Duration> {
                self.number(code::SG_ATTR_UPSTREAM_NS)
                    .map(Duration::from_nanos)
            }
        }
    };
}

after_the_head!(HeaderFilterCall);
after_the_head!(LogCall);

impl HeaderFilterCall<'_> {
    /// Replaces every value of a header of the answer by one.
    ///
    /// # Errors
    ///
    /// [`HostError::Invalid`]: not a header name or value. [`HostError::Forbidden`]: it belongs to the gateway.
    pub fn set_response_header(
        &mut self,
        name: &str,
        value: impl AsRef<[u8]>,
    ) -> Result<(), HostError> {
        let map = code::SG_HEADERS_RESPONSE;
        self.raw.header_set(map, name, value.as_ref())
    }

    /// Adds a value to a header of the answer.
    ///
    /// # Errors
    ///
    /// As `set_response_header`.
    pub fn append_response_header(
        &mut self,
        name: &str,
        value: impl AsRef<[u8]>,
    ) -> Result<(), HostError> {
        let map = code::SG_HEADERS_RESPONSE;
        self.raw.header_append(map, name, value.as_ref())
    }

    /// Removes a header of the answer with all its values; there need not be one.
    ///
    /// # Errors
    ///
    /// As `set_response_header`.
    pub fn remove_response_header(&mut self, name: &str) -> Result<(), HostError> {
        self.raw.header_remove(code::SG_HEADERS_RESPONSE, name)
    }
}

impl LogCall<'_> {
    /// Body bytes received from the client.
    #[must_use]
    pub fn request_bytes(&self) -> u64 {
        self.number(code::SG_ATTR_REQUEST_BYTES).unwrap_or(0)
    }

    /// Body bytes sent to the client.
    #[must_use]
    pub fn response_bytes(&self) -> u64 {
        self.number(code::SG_ATTR_RESPONSE_BYTES).unwrap_or(0)
    }

    /// From the parsed head of the request to the end of the answer.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.number(code::SG_ATTR_DURATION_NS).unwrap_or(0))
    }
}
