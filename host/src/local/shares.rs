//! What one worker remembers of the routes whose requests are split between upstreams, or copied to another one.
//!
//! It is kept over reloads: who reloads every minute would else begin every cycle anew, and split nothing as the weights
//! say.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::metrics::mirror::{Mirrored, Mirroring};
use crate::snapshot::{Action, Forward, Route, Snapshot};
use crate::upstream::balance::round_robin::RoundRobin;

/// A route whose requests are split or copied.
#[derive(Debug)]
pub struct Shares {
    /// Index into [`Snapshot::routes`].
    route: usize,
    name: Arc<str>,
    split: Option<Rc<Split>>,
    copies: Option<Rc<Copies>>,
}

/// The position in a split: as exact as turns are, each share has its requests within a cycle.
#[derive(Debug)]
pub struct Split {
    /// By the names of the upstreams, for their indices change with every reload.
    shares: Box<[(Arc<str>, u32)]>,
    turn: RoundRobin,
}

/// Copies for one upstream.
#[derive(Debug)]
pub struct Copies {
    /// What has come together of a whole request to be copied, in percent.
    credit: Cell<u8>,
    under_way: Cell<usize>,
    account: Arc<Mirrored>,
}

/// The right to one copy; dropped before it came to anything, it failed.
#[derive(Debug)]
pub struct Slot {
    copies: Rc<Copies>,
    outcome: Mirroring,
}

impl Shares {
    /// Of all such routes of a snapshot, in their order; what is known of a route of `before` stays known where that did
    /// not change.
    #[must_use]
    pub fn of(snapshot: &Snapshot, before: &[Self]) -> Vec<Self> {
        let before: HashMap<&str, &Self> =
            before.iter().map(|known| (&*known.name, known)).collect();
        let shared = snapshot.shared.iter().filter_map(|at| {
            let route = snapshot.routes.get(*at)?;
            let Action::Forward(forward) = &route.action else {
                return None;
            };
            let known = before.get(&*route.name).copied();
            Some(Self {
                route: *at,
                name: Arc::clone(&route.name),
                split: Split::of(snapshot, forward, known),
                copies: Copies::of(route, known),
            })
        });
        shared.collect()
    }

    /// The one of a route, if it has any.
    #[must_use]
    pub fn find(all: &[Self], route: usize) -> Option<&Self> {
        let at = all.binary_search_by_key(&route, |one| one.route).ok()?;
        all.get(at)
    }

    /// The upstream whose turn it is.
    #[must_use]
    pub fn next(&self, forward: &Forward) -> Option<usize> {
        let at = self.split.as_ref()?.next()?;
        forward.split.get(at).map(|share| share.upstream)
    }

    /// The copies, if requests are copied.
    #[must_use]
    pub fn copies(&self) -> Option<&Rc<Copies>> {
        self.copies.as_ref()
    }
}

impl Split {
    fn next(&self) -> Option<usize> {
        let weight = |at: usize| self.shares.get(at).map_or(0, |(_, weight)| *weight);
        self.turn.next_by(|at| weight(at).into())
    }

    fn of(snapshot: &Snapshot, forward: &Forward, known: Option<&Shares>) -> Option<Rc<Self>> {
        if forward.split.is_empty() {
            return None;
        }
        let named = |at: usize| snapshot.upstreams.get(at).map(|one| Arc::clone(&one.name));
        let shares = forward.split.iter();
        let shares: Box<[_]> = shares
            .filter_map(|share| Some((named(share.upstream)?, share.weight)))
            .collect();
        let before = known.and_then(|known| known.split.as_ref());
        Some(match before.filter(|before| before.shares == shares) {
            Some(before) => Rc::clone(before),
            None => Rc::new(Self {
                turn: RoundRobin::new(shares.len()),
                shares,
            }),
        })
    }
}

impl Copies {
    fn of(route: &Route, known: Option<&Shares>) -> Option<Rc<Self>> {
        let account = route.mirrored.as_ref()?;
        let before = known.and_then(|known| known.copies.as_ref());
        // The account is that of the upstream: another one has nothing to do with what was copied before.
        let same = before.filter(|before| Arc::ptr_eq(&before.account, account));
        Some(same.map_or_else(|| Self::new(Arc::clone(account)), Rc::clone))
    }

    fn new(account: Arc<Mirrored>) -> Rc<Self> {
        Rc::new(Self {
            credit: Cell::new(0),
            under_way: Cell::new(0),
            account,
        })
    }

    /// Whether this request is one of the percent that are copied: evenly, so that of 100 in a row exactly so many are.
    #[must_use]
    pub fn is_due(&self, percent: u8) -> bool {
        let credit = self.credit.get().saturating_add(percent.min(100));
        self.credit.set(credit % 100);
        credit >= 100
    }

    /// The right to a copy beside those under way, as long as they are fewer than `most`.
    #[must_use]
    pub fn begin(self: &Rc<Self>, most: usize) -> Option<Slot> {
        let under_way = self.under_way.get();
        if under_way >= most {
            self.account.count(Mirroring::DroppedLimit);
            return None;
        }
        self.under_way.set(under_way + 1);
        Some(Slot {
            copies: Rc::clone(self),
            outcome: Mirroring::Failed,
        })
    }
}

impl Slot {
    /// The copy came to this.
    pub fn came_to(mut self, outcome: Mirroring) {
        self.outcome = outcome;
    }

    /// It will have come to this, unless something else is said, when its time is over.
    pub fn comes_to(&mut self, outcome: Mirroring) {
        self.outcome = outcome;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let under_way = &self.copies.under_way;
        under_way.set(under_way.get().saturating_sub(1));
        self.copies.account.count(self.outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copies() -> Rc<Copies> {
        Copies::new(Arc::new(Mirrored::new(0)))
    }

    #[test]
    fn copies_are_spread_evenly() {
        for percent in [0, 1, 25, 33, 99, 100] {
            let copies = copies();
            for _ in 0..3 {
                let due = (0..100).filter(|_| copies.is_due(percent)).count();
                assert_eq!(due, usize::from(percent));
            }
        }
        let copies = copies();
        let due: Vec<bool> = (0..8).map(|_| copies.is_due(25)).collect();
        let fourth = [false, false, false, true];
        assert_eq!(due, [fourth, fourth].concat());
    }

    #[test]
    fn no_more_than_so_many_at_once() {
        let copies = copies();
        let (one, two) = (copies.begin(2), copies.begin(2));
        assert!(copies.begin(2).is_none());
        one.unwrap().came_to(Mirroring::Sent);
        let mut three = copies.begin(2).unwrap();
        three.comes_to(Mirroring::DroppedBody);
        drop((two, three));
        let counts = [
            Mirroring::Sent,
            Mirroring::DroppedLimit,
            Mirroring::DroppedBody,
            Mirroring::Failed,
        ];
        let counts = counts.map(|outcome| copies.account.read(outcome));
        assert_eq!(counts, [1; 4]);
        assert_eq!(copies.under_way.get(), 0);
    }
}
