//! Numbers of things that one value of a label tells apart.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cell::Cells;

/// What a label tells apart; the macro `labels` makes it.
pub trait Label: Copy + 'static {
    /// All of them with their values of the label, in the order of their places.
    const ALL: &'static [(Self, &'static str)];

    /// Which one it is, from 0.
    fn place(self) -> usize;
}

/// An enum whose variants are values of a label, each with its name behind it.
macro_rules! labels {
    ($(#[$about:meta])* $vis:vis enum $name:ident { $($(#[$doc:meta])* $variant:ident $label:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// How many there are.
            $vis const COUNT: usize = [$($label),+].len();
        }

        impl $crate::metrics::tally::Label for $name {
            const ALL: &'static [(Self, &'static str)] = &[$((Self::$variant, $label)),+];

            fn place(self) -> usize {
                self as usize
            }
        }
    };
}
pub(crate) use labels;

/// How many there were of each. `N` is how many a label tells apart.
#[derive(Debug)]
pub struct Tally<L, const N: usize> {
    cells: Cells<Row<N>>,
    of: PhantomData<fn(L)>,
}

#[derive(Debug)]
struct Row<const N: usize>([AtomicU64; N]);

impl<const N: usize> Default for Row<N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl<L: Label, const N: usize> Tally<L, N> {
    /// None yet.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            cells: Cells::new(workers),
            of: PhantomData,
        }
    }

    /// Counts one.
    pub fn count(&self, what: L) {
        let (row, writer) = self.cells.mine();
        if let Some(cell) = row.0.get(what.place()) {
            writer.add(cell, 1);
        }
    }

    /// How many there were of this.
    #[must_use]
    pub fn read(&self, what: L) -> u64 {
        let cells = self.cells.all().filter_map(|row| row.0.get(what.place()));
        cells.map(|cell| cell.load(Ordering::Relaxed)).sum()
    }

    /// Each with its value of the label, and how many there were.
    pub fn each(&self) -> impl Iterator<Item = (L, &'static str, u64)> {
        let all = L::ALL.iter();
        all.map(|(what, label)| (*what, *label, self.read(*what)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    labels! {
        /// Coins.
        enum Side {
            /// One.
            Heads "heads",
            /// The other.
            Tails "tails",
        }
    }

    #[test]
    fn each_value_has_a_number_of_its_own() {
        let tally: Tally<Side, { Side::COUNT }> = Tally::new(1);
        tally.count(Side::Tails);
        tally.count(Side::Tails);
        let seen: Vec<_> = tally.each().collect();
        assert_eq!(seen, [(Side::Heads, "heads", 0), (Side::Tails, "tails", 2)]);
        for (place, (side, _)) in Side::ALL.iter().enumerate() {
            assert_eq!(side.place(), place);
        }
    }
}
