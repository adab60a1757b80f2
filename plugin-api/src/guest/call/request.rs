//! The functions of the gateway about the request and the answer: attributes, parameters, headers, `respond`.

use swapgate_abi::{SgHeader, SgStr};

use super::Raw;
use crate::status::HostError;
use crate::view::{Headers, Value};

impl Raw<'_> {
    /// The text of an attribute.
    ///
    /// # Errors
    ///
    /// As `attr_text` in the header.
    pub fn attr_text(&self, attr: u32) -> Result<Value<'_>, HostError> {
        let mut out = SgStr::EMPTY;
        // SAFETY: the table is complete (new()), and `out` is a local of the right type.
        let code = unsafe { (self.table().attr_text)(self.host, self.token, attr, &raw mut out) };
        self.view(code, out)
    }

    /// The value of a number attribute.
    ///
    /// # Errors
    ///
    /// As `attr_number` in the header.
    pub fn attr_number(&self, attr: u32) -> Result<u64, HostError> {
        let mut out = 0;
        // SAFETY: the table is complete (new()), and `out` is a local of the right type.
        let code = unsafe { (self.table().attr_number)(self.host, self.token, attr, &raw mut out) };
        HostError::check(code).map(|()| out)
    }

    /// Sets method, path or query.
    ///
    /// # Errors
    ///
    /// As `attr_set` in the header.
    pub fn attr_set(&mut self, attr: u32, value: &[u8]) -> Result<(), HostError> {
        let value = SgStr::new(value);
        // SAFETY: the table is complete (new()); the gateway reads `value` during the call only.
        HostError::check(unsafe { (self.table().attr_set)(self.host, self.token, attr, value) })
    }

    /// A path parameter by name.
    ///
    /// # Errors
    ///
    /// As `param_get` in the header.
    pub fn param_get(&self, name: &str) -> Result<Value<'_>, HostError> {
        let mut out = SgStr::EMPTY;
        let name = SgStr::new(name.as_bytes());
        // SAFETY: the table is complete (new()); `name` is read during the call, `out` is a local.
        let code = unsafe { (self.table().param_get)(self.host, self.token, name, &raw mut out) };
        self.view(code, out)
    }

    /// A path parameter by index: its name and its value.
    ///
    /// # Errors
    ///
    /// As `param_nth` in the header.
    pub fn param_nth(&self, index: usize) -> Result<(Value<'_>, Value<'_>), HostError> {
        let (mut name, mut value) = (SgStr::EMPTY, SgStr::EMPTY);
        let (name_out, value_out) = (&raw mut name, &raw mut value);
        // SAFETY: the table is complete (new()); both outs are locals of the right type.
        let code =
            unsafe { (self.table().param_nth)(self.host, self.token, index, name_out, value_out) };
        Ok((self.view(code, name)?, self.view(code, value)?))
    }

    /// The first value of a header.
    ///
    /// # Errors
    ///
    /// As `header_get` in the header.
    pub fn header_get(&self, map: u32, name: &str) -> Result<Value<'_>, HostError> {
        let mut out = SgStr::EMPTY;
        let name = SgStr::new(name.as_bytes());
        // SAFETY: the table is complete (new()); `name` is read during the call, `out` is a local.
        let code =
            unsafe { (self.table().header_get)(self.host, self.token, map, name, &raw mut out) };
        self.view(code, out)
    }

    /// The value of a header with this index.
    ///
    /// # Errors
    ///
    /// As `header_nth` in the header.
    pub fn header_nth(&self, map: u32, name: &str, index: usize) -> Result<Value<'_>, HostError> {
        let mut out = SgStr::EMPTY;
        let (name, to) = (SgStr::new(name.as_bytes()), &raw mut out);
        // SAFETY: the table is complete (new()); `name` is read during the call, `out` is a local.
        let code =
            unsafe { (self.table().header_nth)(self.host, self.token, map, name, index, to) };
        self.view(code, out)
    }

    /// All headers of a map.
    ///
    /// # Errors
    ///
    /// As `headers_list` in the header.
    pub fn headers_list(&self, map: u32) -> Result<Headers<'_>, HostError> {
        const EMPTY: SgHeader = SgHeader {
            name: SgStr::EMPTY,
            value: SgStr::EMPTY,
        };
        let mut entries = vec![EMPTY; 32];
        loop {
            let mut count = 0;
            let (out, cap) = (entries.as_mut_ptr(), entries.len());
            let list = self.table().headers_list;
            // SAFETY: the table is complete (new()); `out` has room for `cap` entries, `count` is a local.
            let code = unsafe { list(self.host, self.token, map, out, cap, &raw mut count) };
            HostError::check(code)?;
            let complete = count <= cap;
            entries.resize(count, EMPTY);
            if complete {
                // SAFETY: the gateway filled in `count` entries; they stay until a change, which takes `&mut self`.
                return Ok(unsafe { Headers::from_raw(entries) });
            }
        }
    }

    /// Replaces every value of a header by one.
    ///
    /// # Errors
    ///
    /// As `header_set` in the header.
    pub fn header_set(&mut self, map: u32, name: &str, value: &[u8]) -> Result<(), HostError> {
        let (name, value) = (SgStr::new(name.as_bytes()), SgStr::new(value));
        // SAFETY: the table is complete (new()); both texts are read during the call only.
        let code = unsafe { (self.table().header_set)(self.host, self.token, map, name, value) };
        HostError::check(code)
    }

    /// Adds a value to a header.
    ///
    /// # Errors
    ///
    /// As `header_append` in the header.
    pub fn header_append(&mut self, map: u32, name: &str, value: &[u8]) -> Result<(), HostError> {
        let (name, value) = (SgStr::new(name.as_bytes()), SgStr::new(value));
        // SAFETY: the table is complete (new()); both texts are read during the call only.
        let code = unsafe { (self.table().header_append)(self.host, self.token, map, name, value) };
        HostError::check(code)
    }

    /// Removes a header with all its values.
    ///
    /// # Errors
    ///
    /// As `header_remove` in the header.
    pub fn header_remove(&mut self, map: u32, name: &str) -> Result<(), HostError> {
        let name = SgStr::new(name.as_bytes());
        // SAFETY: the table is complete (new()); `name` is read during the call only.
        HostError::check(unsafe { (self.table().header_remove)(self.host, self.token, map, name) })
    }

    /// Makes the answer.
    ///
    /// # Errors
    ///
    /// As `respond` in the header.
    pub fn respond(
        &mut self,
        status: u32,
        headers: &[(&str, &[u8])],
        body: &[u8],
    ) -> Result<(), HostError> {
        let headers: Vec<SgHeader> = headers
            .iter()
            .map(|(name, value)| SgHeader {
                name: SgStr::new(name.as_bytes()),
                value: SgStr::new(value),
            })
            .collect();
        let (first, count, body) = (headers.as_ptr(), headers.len(), SgStr::new(body));
        let respond = self.table().respond;
        // SAFETY: the table is complete (new()); `first` points to `count` entries, all read during the call only.
        HostError::check(unsafe { respond(self.host, self.token, status, first, count, body) })
    }
}
