//! From a key to its consumer, without telling by the time it takes how much of a key was right.
//!
//! Keys are not kept: what is stored are their tags under a random secret of this instance. The first bytes of a tag find
//! the one candidate, and the whole tag is compared in constant time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use swapgate_plugin::ConfigError;

use crate::settings::Credential;

type Tag = [u8; 32];

/// All keys of an instance.
pub struct Index {
    secret: Hmac<Sha256>,
    // Two different keys meet under the same 16 bytes of a tag less often than memory fails.
    entries: HashMap<[u8; 16], (Tag, String)>,
}

impl Index {
    /// Builds the index.
    ///
    /// # Errors
    ///
    /// The same key stands twice, or the system has no randomness.
    pub fn new(credentials: Vec<Credential>) -> Result<Self, ConfigError> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| {
            ConfigError::new(format!("the system gives no random bytes: {error}"))
        })?;
        let secret = Hmac::new_from_slice(&random).map_err(ConfigError::new)?;
        let mut index = Self {
            secret,
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
        let mut mac = self.secret.clone();
        mac.update(key);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Index({} keys)", self.entries.len())
    }
}

fn prefix(tag: &Tag) -> [u8; 16] {
    let mut prefix = [0; 16];
    for (to, from) in prefix.iter_mut().zip(tag) {
        *to = *from;
    }
    prefix
}
