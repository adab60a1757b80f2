//! Who is there, who has gone, and who never came.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The roll of a crowd; says on standard output when something has become of all of it.
#[derive(Debug)]
pub(crate) struct Roll {
    count: usize,
    came: Cell<usize>,
    gone: Cell<usize>,
    failed: Cell<usize>,
    /// How many have still to ask again.
    asking: Cell<usize>,
    asked: Cell<usize>,
    reasons: RefCell<BTreeMap<String, usize>>,
    /// What those were told who were not to be answered.
    told: RefCell<BTreeMap<String, usize>>,
}

impl Roll {
    /// Of so many who are to come.
    pub(crate) fn of(count: usize) -> Self {
        Self {
            count,
            came: Cell::default(),
            gone: Cell::default(),
            failed: Cell::default(),
            asking: Cell::default(),
            asked: Cell::default(),
            reasons: RefCell::default(),
            told: RefCell::default(),
        }
    }

    /// One more is there.
    pub(crate) fn came(&self) {
        self.came.update(|count| count + 1);
        self.look();
    }

    /// One was ended by the other side.
    pub(crate) fn went(&self) {
        self.gone.update(|count| count + 1);
        if self.gone.get() + self.failed.get() == self.count {
            println!("gone {}", self.gone.get());
        }
    }

    /// One could not do what it was to do.
    pub(crate) fn failed(&self, reason: String) {
        self.failed.update(|count| count + 1);
        *self.reasons.borrow_mut().entry(reason).or_default() += 1;
        self.look();
    }

    /// Everybody who is there is to ask again.
    pub(crate) fn all_ask(&self) {
        self.asked.set(0);
        self.asking
            .set(self.came.get().saturating_sub(self.gone.get()));
    }

    /// One has asked again, and was answered.
    pub(crate) fn asked(&self) {
        self.asked.update(|count| count + 1);
        self.asking.update(|left| left.saturating_sub(1));
        if self.asking.get() == 0 {
            println!("asked {}", self.asked.get());
        }
    }

    /// One was told something it did not ask for.
    pub(crate) fn told(&self, words: String) {
        *self.told.borrow_mut().entry(words).or_default() += 1;
    }

    pub(crate) fn report(&self) -> Value {
        json!({
            "came": self.came.get(),
            "gone": self.gone.get(),
            "failed": self.failed.get(),
            "reasons": *self.reasons.borrow(),
            "told": *self.told.borrow(),
        })
    }

    fn look(&self) {
        if self.came.get() + self.failed.get() == self.count {
            println!("held {}", self.came.get());
        }
    }
}
