//! Variables of one exchange that plugins share.

use super::Denied;

/// Bytes of one name or value.
type Bytes = Box<[u8]>;

/// Longest name, in bytes.
const NAME_BYTES: usize = 128;
/// How many variables an exchange may hold.
const COUNT: usize = 64;
/// Bytes of all names and values together.
const TOTAL_BYTES: usize = 64 * 1024;

/// A handful of names and values; empty until a plugin sets one, and then searched in order.
#[derive(Debug, Default)]
pub struct Vars {
    entries: Vec<(Bytes, Bytes)>,
    bytes: usize,
}

impl Vars {
    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.entries
            .iter()
            .find(|(known, _)| **known == *name)
            .map(|(_, value)| &**value)
    }

    /// All of them, in the order in which they were first set.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Sets a variable; copies both.
    ///
    /// # Errors
    /// Empty name, or more than an exchange may hold.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), Denied> {
        if name.is_empty() {
            return Err(Denied::Invalid);
        }
        let position = self.entries.iter().position(|(known, _)| **known == *name);
        let freed = position
            .and_then(|at| self.entries.get(at))
            .map_or(0, |(n, v)| n.len() + v.len());
        let bytes = self.bytes - freed + name.len() + value.len();
        let full = position.is_none() && self.entries.len() >= COUNT;
        if name.len() > NAME_BYTES || bytes > TOTAL_BYTES || full {
            return Err(Denied::TooLarge);
        }
        self.bytes = bytes;
        match position.and_then(|at| self.entries.get_mut(at)) {
            Some(entry) => entry.1 = Box::from(value),
            None => self.entries.push((Box::from(name), Box::from(value))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_wins_and_bounds_hold() {
        let mut vars = Vars::default();
        vars.set(b"a", b"1").unwrap();
        vars.set(b"a", b"22").unwrap();
        assert_eq!(vars.get(b"a"), Some(&b"22"[..]));
        assert_eq!(vars.get(b"b"), None);
        assert_eq!(vars.bytes, 3);
        assert_eq!(vars.set(b"", b"1"), Err(Denied::Invalid));
        assert_eq!(vars.set(b"a", &[0; TOTAL_BYTES]), Err(Denied::TooLarge));
        assert_eq!(vars.set(&[b'x'; 129], b""), Err(Denied::TooLarge));
        for n in 1..COUNT {
            vars.set(format!("v{n}").as_bytes(), b"").unwrap();
        }
        assert_eq!(vars.set(b"one-more", b""), Err(Denied::TooLarge));
    }
}
