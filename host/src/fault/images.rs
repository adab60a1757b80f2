//! Which addresses belong to which plugin file, for the handler of a crash: a fixed table that is read without a lock.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::label::{self, Label};

/// Images that can be told apart; a crash in one beyond them is known by its mark only.
const ROOM: usize = 4096;

struct Entry {
    start: AtomicUsize,
    /// 0: nothing stands here.
    end: AtomicUsize,
    label: AtomicUsize,
}

static TABLE: [Entry; ROOM] = [const {
    Entry {
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        label: AtomicUsize::new(0),
    }
}; ROOM];
/// Whoever changes the table.
static WRITER: Mutex<()> = Mutex::new(());

/// Notes where an image was mapped.
pub fn mapped(ranges: &[Range<usize>], label: &Label) {
    let _writer = WRITER.lock().unwrap_or_else(PoisonError::into_inner);
    for range in ranges {
        let empty = |entry: &&Entry| entry.end.load(Ordering::Relaxed) == 0;
        let Some(entry) = TABLE.iter().find(empty) else {
            return;
        };
        let index = usize::try_from(label.index).unwrap_or(0);
        entry.label.store(index, Ordering::Relaxed);
        entry.start.store(range.start, Ordering::Relaxed);
        // Last: from here on it counts.
        entry.end.store(range.end, Ordering::Release);
    }
}

/// Forgets an image that was unmapped.
pub fn unmapped(label: &Label) {
    let _writer = WRITER.lock().unwrap_or_else(PoisonError::into_inner);
    let index = usize::try_from(label.index).unwrap_or(0);
    for entry in &TABLE {
        if entry.label.load(Ordering::Relaxed) == index {
            entry.end.store(0, Ordering::Release);
            entry.label.store(0, Ordering::Relaxed);
        }
    }
}

/// Whose code or data stands at an address. Waits for nobody and allocates nothing.
#[must_use]
pub fn find(address: usize) -> Option<&'static Label> {
    TABLE.iter().find_map(|entry| {
        let end = entry.end.load(Ordering::Acquire);
        let start = entry.start.load(Ordering::Relaxed);
        if address >= end || address < start {
            return None;
        }
        label::find(u32::try_from(entry.label.load(Ordering::Relaxed)).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::label::ImageIdentity;

    #[test]
    fn addresses_lead_to_their_file_while_it_is_mapped() {
        let label = label::of(&ImageIdentity {
            id: "demo".to_owned(),
            version: "1.0.0".to_owned(),
            digest: "ranges".to_owned(),
        });
        let found = |address| find(address).map(|label| label.index);
        mapped(&[16..32, 64..65], label);
        assert_eq!(found(15), None);
        assert_eq!(found(16), Some(label.index));
        assert_eq!(found(64), Some(label.index));
        assert_eq!(found(32), None);
        unmapped(label);
        assert_eq!(found(16), None);
    }
}
