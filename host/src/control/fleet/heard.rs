//! What the workers have said.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::spawn_local;

use crate::panics::{self, Part};
use crate::snapshot::{Left, Report};

/// What the workers have said.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) adopted: RefCell<HashMap<usize, u64>>,
    pub(super) holders: RefCell<BTreeMap<u64, BTreeSet<usize>>>,
    /// What is left on each worker that drains.
    pub(super) left: RefCell<BTreeMap<usize, Left>>,
    /// The workers that have ended.
    pub(super) drained: RefCell<BTreeSet<usize>>,
    /// Those of them that panicked and of which nobody was told yet.
    failed: RefCell<Vec<usize>>,
    /// Whether nobody is left to report.
    pub(super) silent: Cell<bool>,
    changed: Notify,
}

/// Tells of workers that panicked.
pub struct Losses(Rc<Heard>);

impl Losses {
    pub(super) fn of(heard: &Rc<Heard>) -> Self {
        Self(Rc::clone(heard))
    }

    /// The next worker that did, from 0.
    pub async fn next(&self) -> usize {
        loop {
            self.0
                .until(|heard| !heard.failed.borrow().is_empty())
                .await;
            if let Some(worker) = self.0.failed.borrow_mut().pop() {
                return worker;
            }
        }
    }
}

impl Heard {
    /// Waits until they have said enough.
    pub(super) async fn until(&self, reached: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.changed.notified();
            if reached(self) {
                return;
            }
            changed.await;
        }
    }

    fn take(&self, report: Report) {
        match report {
            Report::Adopted { worker, generation } => {
                self.adopted.borrow_mut().insert(worker, generation);
            }
            Report::Released { worker, snapshot } => {
                let mut holders = self.holders.borrow_mut();
                if let Some(workers) = holders.get_mut(&snapshot.generation) {
                    workers.remove(&worker);
                    if workers.is_empty() {
                        holders.remove(&snapshot.generation);
                    }
                }
                // Here, on a thread that has the time, the last hold on a generation ends.
                drop(snapshot);
            }
            Report::Left { worker, left } => {
                self.left.borrow_mut().insert(worker, left);
                return;
            }
            Report::Drained { worker } => {
                self.left.borrow_mut().remove(&worker);
                self.drained.borrow_mut().insert(worker);
            }
            Report::Failed { worker } => {
                self.left.borrow_mut().remove(&worker);
                self.drained.borrow_mut().insert(worker);
                self.failed.borrow_mut().push(worker);
            }
        }
        self.changed.notify_waiters();
    }
}

/// Hears what they say, until nobody is left who could.
pub(super) fn listen_to(mut reports: UnboundedReceiver<Report>) -> Rc<Heard> {
    let heard = Rc::new(Heard::default());
    let ear = Rc::clone(&heard);
    spawn_local(panics::contained(Part::Control, async move {
        while let Some(report) = reports.recv().await {
            ear.take(report);
        }
        ear.silent.set(true);
        ear.changed.notify_waiters();
    }));
    heard
}
