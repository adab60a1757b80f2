//! What handles know once there is an answer, and how its head is changed.

use std::time::Duration;

use swapgate_abi::code;

use super::{BodyFilterCall, HeaderFilterCall, LogCall, values};
use crate::status::HostError;
use crate::view::{Headers, Value};

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
after_the_head!(BodyFilterCall);

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

    /// This instance wants nothing of the body of this answer; `body_filter` is not called then.
    ///
    /// # Errors
    ///
    /// Those of `body_ignore`.
    pub fn ignore_body(&mut self) -> Result<(), HostError> {
        self.raw.body_ignore(code::SG_LANE_RESPONSE)
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
