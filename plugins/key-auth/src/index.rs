//! From a key to its consumer, without telling by the time it takes how much of a key was right.
//!
//! Keys are not kept: what is stored are their tags under a random secret of this instance. Half of a tag finds the one
//! candidate, and the whole tag is compared in constant time. The tag is SipHash-2-4 with 128 bits, a pseudorandom
//! function for who does not know the secret (Aumasson and Bernstein: SipHash, a fast short-input PRF, 2012): a client
//! cannot steer tags, and asks through the gateway, so 128 bits are more than it can search. HMAC-SHA-256 did the same at
//! ten times the price in every request.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};
use subtle::ConstantTimeEq;
use swapgate_plugin::ConfigError;

use crate::settings::Credential;

type Tag = [u8; 16];

/// All keys of an instance.
pub struct Index {
    secret: SipHasher24,
    // Two different keys meet under the same 8 bytes of a tag less often than memory fails.
    entries: HashMap<[u8; 8], (Tag, String)>,
}

impl Index {
    /// Builds the index.
    ///
    /// # Errors
    ///
    /// The same key stands twice, or the system has no randomness.
    pub fn new(credentials: Vec<Credential>) -> Result<Self, ConfigError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| {
            ConfigError::new(format!("the system gives no random bytes: {error}"))
        })?;
        let mut index = Self {
            secret: SipHasher24::new_with_key(&random),
            entries: HashMap::with_capacity(credentials.len()),
        };
        for credential in credentials {
            let tag = index.tag(&credential.key);
            match index.entries.entry(prefix(&tag)) {
                Entry::Vacant(place) => {
                    place.insert((tag, credential.consumer));
                }
                Entry::Occupied(_) => {
                    return Err(ConfigError::at(
                        credential.place,
                        "this key stood before: give every key once",
                    ));
                }
            }
        }
        Ok(index)
    }

    /// The consumer of a key.
    #[must_use]
    pub fn find(&self, key: &[u8]) -> Option<&str> {
        let tag = self.tag(key);
        let (known, consumer) = self.entries.get(&prefix(&tag))?;
        bool::from(known.ct_eq(&tag)).then_some(consumer)
    }

    fn tag(&self, key: &[u8]) -> Tag {
        let mut hasher = self.secret;
        hasher.write(key);
        hasher.finish128().as_bytes()
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Index({} keys)", self.entries.len())
    }
}

fn prefix(tag: &Tag) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = *tag;
    [a, b, c, d, e, f, g, h]
}
