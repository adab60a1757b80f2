//! The key-value area of the gateway in memory.

use std::time::Duration;

use super::World;
use crate::status::HostError;

const MAX_KEY: usize = 512;
const MAX_VALUE: usize = 1024 * 1024;

pub(super) struct Stored {
    value: Vec<u8>,
    revision: u64,
    until: Option<Duration>,
}

impl World {
    fn stored(&mut self, key: &[u8]) -> Result<Option<&mut Stored>, HostError> {
        if key.len() > MAX_KEY {
            return Err(HostError::TooLarge);
        }
        let now = self.clock;
        self.values
            .retain(|_, stored| stored.until.is_none_or(|until| until > now));
        Ok(self.values.get_mut(key))
    }

    pub(in crate::testing) fn get(&mut self, key: &[u8]) -> Result<(&[u8], u64), HostError> {
        let stored = self.stored(key)?.ok_or(HostError::NotFound)?;
        Ok((&stored.value, stored.revision))
    }

    fn put(&mut self, key: &[u8], value: Vec<u8>, ttl_ms: u64) -> Result<(), HostError> {
        if value.len() > MAX_VALUE || key.len() > MAX_KEY {
            return Err(HostError::TooLarge);
        }
        let revision = self.number();
        let until = (ttl_ms > 0).then(|| self.clock + Duration::from_millis(ttl_ms));
        let stored = Stored {
            value,
            revision,
            until,
        };
        self.values.insert(key.to_vec(), stored);
        Ok(())
    }

    pub(in crate::testing) fn set(
        &mut self,
        key: &[u8],
        value: &[u8],
        ttl_ms: u64,
    ) -> Result<(), HostError> {
        self.put(key, value.to_vec(), ttl_ms)
    }

    pub(in crate::testing) fn add(
        &mut self,
        key: &[u8],
        delta: i64,
        ttl_ms: u64,
    ) -> Result<i64, HostError> {
        let revision = self.number();
        let Some(stored) = self.stored(key)? else {
            self.put(key, delta.to_ne_bytes().to_vec(), ttl_ms)?;
            return Ok(delta);
        };
        let number = stored.value.as_slice().try_into();
        let number = i64::from_ne_bytes(number.map_err(|_| HostError::Invalid)?);
        let sum = number.checked_add(delta).ok_or(HostError::TooLarge)?;
        stored.value = sum.to_ne_bytes().to_vec();
        stored.revision = revision;
        Ok(sum)
    }

    pub(in crate::testing) fn compare_and_set(
        &mut self,
        key: &[u8],
        revision: u64,
        value: &[u8],
        ttl_ms: u64,
    ) -> Result<(), HostError> {
        let found = self.stored(key)?.map_or(0, |stored| stored.revision);
        if found != revision {
            return Err(HostError::Conflict);
        }
        self.set(key, value, ttl_ms)
    }

    pub(in crate::testing) fn remove(&mut self, key: &[u8]) -> Result<(), HostError> {
        self.stored(key)?;
        self.values.remove(key);
        Ok(())
    }
}
