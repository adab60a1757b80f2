//! Every plugin file this process has met, by a number that fits into a mark.
//!
//! Labels are never given back: whoever holds a number, a mark of an hour ago or the handler of a crash, finds the name.
//! One costs some hundred bytes, and there is one for each distinct file.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::breaker::Health;

/// Distinct files that can be told apart in one life of the process; later ones share the last label.
const LABELS: usize = 1 << 14;

/// Who one loaded image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageIdentity {
    /// Id of the plugin.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Digest of the file, in hexadecimal.
    pub digest: String,
}

/// One plugin file.
#[derive(Debug)]
pub struct Label {
    /// Its number, from 1.
    pub index: u32,
    /// Id of the plugin.
    pub id: Box<str>,
    /// Its version.
    pub version: Box<str>,
    /// Digest of the file, in hexadecimal.
    pub digest: Box<str>,
    /// Its faults.
    pub health: Health,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, self.version)
    }
}

static TABLE: [OnceLock<Box<Label>>; LABELS] = [const { OnceLock::new() }; LABELS];
static NUMBERS: Mutex<Option<HashMap<Box<str>, usize>>> = Mutex::new(None);

/// The label of a file.
#[must_use]
pub fn of(identity: &ImageIdentity) -> &'static Label {
    let mut numbers = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner);
    let numbers = numbers.get_or_insert_default();
    let next = numbers.len() + 1;
    let number = match numbers.get(&*identity.digest) {
        Some(number) => *number,
        None if next < LABELS - 1 => {
            numbers.insert(identity.digest.as_str().into(), next);
            next
        }
        None => LABELS - 1,
    };
    let make = || {
        let many = number == LABELS - 1;
        let text = |text: &str| if many { "(many)".into() } else { text.into() };
        Box::new(Label {
            index: u32::try_from(number).unwrap_or(0),
            id: text(&identity.id),
            version: text(&identity.version),
            digest: text(&identity.digest),
            health: Health::default(),
        })
    };
    let [first, ..] = &TABLE;
    TABLE.get(number).unwrap_or(first).get_or_init(make)
}

/// The label with this number. Waits for nobody and allocates nothing.
#[must_use]
pub fn find(index: u32) -> Option<&'static Label> {
    let index = usize::try_from(index).ok().filter(|index| *index > 0)?;
    TABLE.get(index)?.get().map(|label| &**label)
}
