//! Short texts that every exchange has, kept without a place on the heap where they fit.

use http::HeaderValue;
use smallvec::SmallVec;

/// A host: lower case, no port, no trailing dot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostName(SmallVec<[u8; 48]>);

impl HostName {
    /// Takes a host over in lower case.
    #[must_use]
    pub fn lower(text: &str) -> Self {
        let mut name = SmallVec::from_slice(text.as_bytes());
        name.make_ascii_lowercase();
        Self(name)
    }

    /// The host.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Made from a text by changing ASCII letters only, so it still is one.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The id of an exchange in logs, in requests to upstreams and in answers of the gateway.
#[derive(Debug, Clone)]
pub enum RequestId {
    /// 32 hexadecimal digits, given here.
    Own([u8; 32]),
    /// What a trusted proxy gave.
    Given(HeaderValue),
}

impl RequestId {
    /// The id as a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Own(digits) => std::str::from_utf8(digits).unwrap_or_default(),
            Self::Given(value) => value.to_str().unwrap_or_default(),
        }
    }

    /// The id as it came, which needs no check.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Own(digits) => digits,
            Self::Given(value) => value.as_bytes(),
        }
    }

    /// The id as a header value.
    #[must_use]
    pub fn to_value(&self) -> HeaderValue {
        match self {
            Self::Own(digits) => {
                HeaderValue::from_bytes(digits).unwrap_or(HeaderValue::from_static("0"))
            }
            Self::Given(value) => value.clone(),
        }
    }
}
