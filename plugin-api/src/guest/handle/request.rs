//! What handles have until the request goes to the upstream, and what they know once it is routed.

use swapgate_abi::code;

use super::{
    AccessCall, BodyFilterCall, EndCall, HeaderFilterCall, LogCall, RequestBodyCall, RewriteCall,
    TrailersCall,
};
use crate::guest::call::Raw;
use crate::guest::response::{Flow, Responded, Response};
use crate::status::HostError;
use crate::view::Value;

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
                respond(&mut self.raw, response)?;
                Ok(Flow::Respond(Responded(())))
            }
        }
    };
}

/// Hands an answer to the gateway.
pub(super) fn respond(raw: &mut Raw<'_>, response: &Response) -> Result<(), HostError> {
    let headers: Vec<(&str, &[u8])> = response
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_slice()))
        .collect();
    raw.respond(u32::from(response.status), &headers, &response.body)
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
after_routing!(RequestBodyCall);
after_routing!(BodyFilterCall);
after_routing!(TrailersCall);

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Upstream<'u> {
    /// To a configured service.
    Service(&'u str),
    /// To one target of the service in charge, as `ip:port` or `unix:/path`.
    Target(&'u str),
    /// To any `ip:port` on the allow list of the configuration, which is spoken to in HTTP/1.1 without TLS.
    Address(&'u str),
}

impl AccessCall<'_> {
    /// Chooses where the request goes, instead of the service of the route. Timeouts stay those of the route.
    ///
    /// # Errors
    ///
    /// [`HostError::NotFound`]: no such service or target. [`HostError::Forbidden`]: not on the allow list, or
    /// a target that is spoken to in TLS.
    /// [`HostError::Invalid`]: no address, or the route does not forward.
    pub fn set_upstream(&mut self, upstream: Upstream<'_>) -> Result<(), HostError> {
        let (kind, value) = match upstream {
            Upstream::Service(name) => (code::SG_UPSTREAM_SERVICE, name),
            Upstream::Target(address) => (code::SG_UPSTREAM_TARGET, address),
            Upstream::Address(address) => (code::SG_UPSTREAM_ADDRESS, address),
        };
        self.raw.upstream_set(kind, value)
    }

    /// This instance wants nothing of the body of this request; `request_body` is not called then.
    ///
    /// # Errors
    ///
    /// Those of `body_ignore`.
    pub fn ignore_request_body(&mut self) -> Result<(), HostError> {
        self.raw.body_ignore(code::SG_LANE_REQUEST)
    }

    /// This instance wants nothing of the body of the answer; `body_filter` is not called then.
    ///
    /// # Errors
    ///
    /// Those of `body_ignore`.
    pub fn ignore_response_body(&mut self) -> Result<(), HostError> {
        self.raw.body_ignore(code::SG_LANE_RESPONSE)
    }
}
