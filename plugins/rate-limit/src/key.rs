//! What requests are counted by, and how it becomes a tag.
//!
//! A tag is a keyed hash of 128 bits (SipHash under a random secret of the instance). Keys themselves are not kept, so
//! each costs the same few bytes however long its header is; nobody outside can find two keys with the same tag, and
//! that two of a million have the same by chance is less likely than 2 to the -88.

use std::hash::Hasher;
use std::net::{IpAddr, Ipv6Addr};

use schemars::JsonSchema;
use serde::Deserialize;
use siphasher::sip128::{Hasher128, SipHasher13};
use swapgate_plugin::{AccessCall, ConfigError};

use crate::table::Tag;

/// One part of a key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The authenticated consumer.
    Consumer,
    /// The address of the client, as trusted proxies report it, or its network.
    Address,
    /// The route.
    Route,
    /// The service.
    Service,
    /// Every value of a header of the request, in their order.
    Header(String),
}

/// How many bits of an address count.
#[derive(Debug, Clone, Copy)]
pub struct Prefixes {
    v4: u32,
    v6: u128,
}

impl Prefixes {
    /// Lengths in bits.
    ///
    /// # Errors
    ///
    /// Which of them is longer than an address.
    pub fn new(v4: u8, v6: u8) -> Result<Self, &'static str> {
        if v4 > 32 {
            return Err("v4");
        }
        if v6 > 128 {
            return Err("v6");
        }
        Ok(Self {
            v4: u32::MAX.checked_shl(32 - u32::from(v4)).unwrap_or(0),
            v6: u128::MAX.checked_shl(128 - u32::from(v6)).unwrap_or(0),
        })
    }

    /// The network of an address. An IPv4 address in IPv6 clothes is an IPv4 address.
    fn network(self, address: IpAddr) -> IpAddr {
        match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4((address.to_bits() & self.v4).into()),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & self.v6)),
        }
    }
}

/// The random secret of an instance.
#[derive(Clone, Copy)]
pub(crate) struct Secret(u64, u64);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.0) << 64 | u128::from(self.1)).to_le_bytes()
    }

    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        let both = u128::from_le_bytes(bytes);
        Self((both >> 64) as u64, both as u64)
    }

    pub(crate) fn random() -> Result<Self, ConfigError> {
        let random = || {
            getrandom::u64().map_err(|error| {
                ConfigError::new(format!("the system gives no random numbers: {error}"))
            })
        };
        Ok(Self(random()?, random()?))
    }
}

/// What goes into the hash before each part, so that no two different keys look alike.
mod kind {
    pub(super) const CONSUMER: u8 = 1;
    pub(super) const ADDRESS_V4: u8 = 2;
    pub(super) const ADDRESS_V6: u8 = 3;
    pub(super) const ROUTE: u8 = 4;
    pub(super) const SERVICE: u8 = 5;
    pub(super) const HEADER: u8 = 6;
    pub(super) const VALUE: u8 = 7;
    pub(super) const ODD_ADDRESS: u8 = 8;
}

/// The tag of a request.
///
/// A part that is missing, because nobody authenticated or the header is not there, is replaced by the client's address.
/// Were it left out, all who lack it would share one counter, and one of them could use it up for the others; were the
/// request let through, leaving out a header would be the way round the limit.
pub(crate) fn tag(
    parts: &[Part],
    prefixes: Prefixes,
    secret: Secret,
    request: &AccessCall<'_>,
) -> Tag {
    let mut hasher = Parts(SipHasher13::new_with_keys(secret.0, secret.1));
    for part in parts {
        let present = match part {
            Part::Consumer => hasher.text(kind::CONSUMER, request.consumer()),
            Part::Address => false,
            Part::Route => hasher.text(kind::ROUTE, request.route()),
            Part::Service => hasher.text(kind::SERVICE, request.service()),
            Part::Header(name) => {
                let mut values = request.header_values(name).peekable();
                let present = values.peek().is_some();
                if present {
                    hasher.0.write_u8(kind::HEADER);
                }
                values.for_each(|value| hasher.bytes(kind::VALUE, &value));
                present
            }
        };
        if !present {
            hasher.address(request.client_address(), prefixes);
        }
    }
    hasher.0.finish128().as_u128()
}

struct Parts(SipHasher13);

impl Parts {
    fn text(&mut self, kind: u8, text: Option<&str>) -> bool {
        if let Some(text) = text {
            self.bytes(kind, text.as_bytes());
        }
        text.is_some()
    }

    fn bytes(&mut self, kind: u8, bytes: &[u8]) {
        self.0.write_u8(kind);
        self.0.write_u64(bytes.len() as u64);
        self.0.write(bytes);
    }

    fn address(&mut self, text: &str, prefixes: Prefixes) {
        match text.parse().map(|address| prefixes.network(address)) {
            Ok(IpAddr::V4(address)) => {
                self.0.write_u8(kind::ADDRESS_V4);
                self.0.write_u32(address.to_bits());
            }
            Ok(IpAddr::V6(address)) => {
                self.0.write_u8(kind::ADDRESS_V6);
                self.0.write_u128(address.to_bits());
            }
            // The gateway always says an address; whatever else it might say one day is still one client's.
            Err(_) => self.bytes(kind::ODD_ADDRESS, text.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Prefixes;

    #[track_caller]
    fn check(v4: u8, v6: u8, address: &str, expected: &str) {
        let network = Prefixes::new(v4, v6)
            .unwrap()
            .network(address.parse().unwrap());
        assert_eq!(network.to_string(), expected);
    }

    #[test]
    fn addresses_are_cut_to_their_networks() {
        check(32, 64, "192.0.2.7", "192.0.2.7");
        check(24, 64, "192.0.2.7", "192.0.2.0");
        check(0, 64, "192.0.2.7", "0.0.0.0");
        check(32, 64, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::");
        check(32, 56, "2001:db8:1:2ff:3:4:5:6", "2001:db8:1:200::");
        check(32, 128, "2001:db8::1", "2001:db8::1");
        check(32, 0, "2001:db8::1", "::");
        check(32, 64, "::ffff:192.0.2.7", "192.0.2.7");
    }

    #[test]
    fn prefixes_longer_than_an_address_are_refused() {
        assert_eq!(Prefixes::new(33, 64).map(drop), Err("v4"));
        assert_eq!(Prefixes::new(32, 129).map(drop), Err("v6"));
    }
}
