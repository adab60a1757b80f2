//! The trailers of a message.

use swapgate_abi::code;

use super::{TrailersCall, values};
use crate::guest::hooks::Lane;
use crate::status::HostError;
use crate::view::{Headers, Value};

impl TrailersCall<'_> {
    /// Whose trailers they are.
    #[must_use]
    pub fn lane(&self) -> Lane {
        if self.exchange.with == code::SG_LANE_RESPONSE {
            Lane::Response
        } else {
            Lane::Request
        }
    }

    fn map(&self) -> u32 {
        match self.lane() {
            Lane::Request => code::SG_TRAILERS_REQUEST,
            Lane::Response => code::SG_TRAILERS_RESPONSE,
        }
    }

    /// The first value of a trailer; the name in any case.
    #[must_use]
    pub fn trailer(&self, name: &str) -> Option<Value<'_>> {
        self.raw.header_get(self.map(), name).ok()
    }

    /// Every value of a trailer.
    pub fn trailer_values<'n>(&'n self, name: &'n str) -> impl Iterator<Item = Value<'n>> {
        values(&self.raw, self.map(), name)
    }

    /// All trailers.
    ///
    /// # Errors
    ///
    /// Those of `headers_list`.
    pub fn trailers(&self) -> Result<Headers<'_>, HostError> {
        self.raw.headers_list(self.map())
    }

    /// Replaces every value of a trailer by one.
    ///
    /// # Errors
    ///
    /// [`HostError::Invalid`]: not a header name or value. [`HostError::Forbidden`]: it belongs to the gateway.
    pub fn set_trailer(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HostError> {
        let map = self.map();
        self.raw.header_set(map, name, value.as_ref())
    }

    /// Adds a value to a trailer.
    ///
    /// # Errors
    ///
    /// As `set_trailer`.
    pub fn append_trailer(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HostError> {
        let map = self.map();
        self.raw.header_append(map, name, value.as_ref())
    }

    /// Removes a trailer with all its values; there need not be one.
    ///
    /// # Errors
    ///
    /// As `set_trailer`.
    pub fn remove_trailer(&mut self, name: &str) -> Result<(), HostError> {
        let map = self.map();
        self.raw.header_remove(map, name)
    }
}
