//! Descriptors that are held so that they can be given back: for the operator who asks why there are none left.

use std::cell::RefCell;
use std::fs::File;

/// How many: so many connections are served although there is no descriptor left for anybody else.
const COUNT: usize = 4;

/// What is held.
#[derive(Debug, Default)]
pub(super) struct Spare(RefCell<Vec<File>>);

impl Spare {
    /// Takes what is missing, as far as the system gives it.
    pub(super) fn fill(&self) {
        let mut held = self.0.borrow_mut();
        while held.len() < COUNT {
            // Any descriptor will do; this one holds nothing else.
            let Ok(file) = File::open("/dev/null") else {
                return;
            };
            held.push(file);
        }
    }

    /// Gives one back; whether there was one.
    pub(super) fn give(&self) -> bool {
        self.0.borrow_mut().pop().is_some()
    }
}
