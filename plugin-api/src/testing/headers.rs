//! Headers of the gateway in memory.

use crate::guest::response::Response;

/// Headers in their order, names in lower case.
#[derive(Debug, Clone, Default)]
pub(super) struct HeaderList(pub(super) Vec<(String, Vec<u8>)>);

impl HeaderList {
    pub(super) fn add(&mut self, name: &str, value: &[u8]) {
        self.0.push((name.to_ascii_lowercase(), value.to_vec()));
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    pub(super) fn joined(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self
            .values(name)
            .map(|value| String::from_utf8_lossy(value))
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }
}

impl From<&Response> for HeaderList {
    fn from(response: &Response) -> Self {
        let mut list = Self::default();
        for (name, value) in &response.headers {
            list.add(name, value);
        }
        list
    }
}
