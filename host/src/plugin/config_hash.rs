//! The name of a configuration, which shows none of it.

use std::fmt;
use std::sync::OnceLock;

use crate::plugin::image::Digest;

/// SHA-256 of a plugin file's digest and a configuration: names an instance without showing a secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigHash([u8; 32]);

impl ConfigHash {
    /// The hash of `config` for the plugin with `digest`. The digest stands in it so that equal configurations of two
    /// plugins do not look equal to somebody who can read the state folder.
    #[must_use]
    pub fn of(digest: Digest, config: &str) -> Self {
        use sha2::Digest as _;
        let mut hasher = sha2::Sha256::new();
        hasher.update(digest.0);
        hasher.update(config.as_bytes());
        Self(hasher.finalize().into())
    }

    /// A name for it that tells nothing outside of this process: without the salt, whoever can read it could try out
    /// which of some likely configurations it is.
    #[must_use]
    pub fn shown(self) -> String {
        use sha2::Digest as _;
        static SALT: OnceLock<[u8; 16]> = OnceLock::new();
        let salt = SALT.get_or_init(|| {
            let mut salt = [0; 16];
            // Without random numbers there is no salt, as there would be no worker either.
            let _ = getrandom::fill(&mut salt);
            salt
        });
        let mut hasher = sha2::Sha256::new();
        hasher.update(salt);
        hasher.update(self.0);
        let mut text = Self(hasher.finalize().into()).to_string();
        text.truncate(16);
        text
    }
}

impl fmt::Display for ConfigHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ConfigHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigHash({self})")
    }
}
