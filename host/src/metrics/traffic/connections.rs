//! Connections of a listener, or to a target: how many there were and are.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::metrics::cell::Cells;

/// Connections: of one listener, or to one target.
#[derive(Debug)]
pub struct Connections(Cells<Comings>);

/// One worker's hold on the account, so that a connection touches no reference count that workers share.
#[derive(Debug)]
pub struct Hold(Arc<Connections>);

/// A connection that is open; dropping it counts its end.
#[derive(Debug)]
pub struct Open(Rc<Hold>);

impl Connections {
    /// None yet.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self(Cells::new(workers))
    }

    pub(super) fn sum(&self, number: impl Fn(&Comings) -> &AtomicU64) -> u64 {
        let all = self
            .0
            .all()
            .map(|cell| number(cell).load(Ordering::Relaxed));
        all.fold(0, u64::wrapping_add)
    }

    pub(super) fn open(&self) -> u64 {
        // Ends are read first, so that one that comes in between makes the gauge too large and never negative.
        let ended = self.sum(|cell| &cell.ended);
        self.sum(|cell| &cell.begun).saturating_sub(ended)
    }
}

impl Hold {
    /// A hold for the running worker.
    #[must_use]
    pub fn new(account: Arc<Connections>) -> Rc<Self> {
        Rc::new(Self(account))
    }

    /// Counts a connection that begins.
    #[must_use]
    pub fn begin(self: &Rc<Self>) -> Open {
        let (cell, writer) = self.0.0.mine();
        writer.add(&cell.begun, 1);
        Open(Rc::clone(self))
    }

    /// Counts that there is no room for another one.
    pub fn waits(&self) {
        let (cell, writer) = self.0.0.mine();
        writer.add(&cell.waits, 1);
    }

    /// Counts that the system gives none.
    pub fn fails(&self) {
        let (cell, writer) = self.0.0.mine();
        writer.add(&cell.errors, 1);
    }
}

impl Open {
    /// Counts a request that came on it in HTTP/2.
    pub fn has_stream(&self) {
        let (cell, writer) = self.0.0.0.mine();
        writer.add(&cell.streams, 1);
    }

    /// Counts that it was closed because its address has as many as it may.
    pub fn is_refused(&self) {
        let (cell, writer) = self.0.0.0.mine();
        writer.add(&cell.refused, 1);
    }

    /// Counts that it was ended because of a flood of frames.
    pub fn floods(&self) {
        let (cell, writer) = self.0.0.0.mine();
        writer.add(&cell.floods, 1);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let (cell, writer) = self.0.0.0.mine();
        writer.add(&cell.ended, 1);
    }
}

/// Things that begin and end.
#[derive(Debug, Default)]
pub(super) struct Comings {
    pub(super) begun: AtomicU64,
    ended: AtomicU64,
    pub(super) waits: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) streams: AtomicU64,
    pub(super) floods: AtomicU64,
    pub(super) refused: AtomicU64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_what_began_and_did_not_end() {
        let account = Arc::new(Connections::new(1));
        let hold = Hold::new(Arc::clone(&account));
        let (one, two) = (hold.begin(), hold.begin());
        drop(one);
        assert_eq!((account.open(), account.sum(|cell| &cell.begun)), (1, 2));
        drop(two);
        assert_eq!(account.open(), 0);
    }
}
