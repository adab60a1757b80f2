//! What a plugin asks of other services.

/// A request of a callout that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callout {
    /// Names it to [`Host::answer`](crate::testing::Host::answer).
    pub id: u64,
    /// The name of a service, or empty.
    pub service: String,
    /// Path and query, or a whole URL.
    pub url: String,
    /// The method.
    pub method: String,
    /// The headers, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Callout {
    /// The first value of a header; the name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_slice())
    }
}
