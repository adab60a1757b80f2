//! A request that a breaker let through, and what it came to.

use super::Breaker;
use super::state::State;

/// A request that was let through. Dropped without a word it says nothing of the upstream: a trial is given back.
#[derive(Debug)]
pub struct Pass<'a> {
    pub(super) breaker: &'a Breaker,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// It counts in this era.
    Counted(u64),
    /// It is a trial of this round, and holds a place in this wave of it.
    Trial { round: u64, wave: u64 },
    /// It has said what it came to.
    Told,
}

impl Pass<'_> {
    /// The upstream did what it was asked to, or failed.
    pub fn came_to(mut self, went_well: bool, now_ms: u64) {
        match std::mem::replace(&mut self.kind, Kind::Told) {
            Kind::Counted(era) if went_well => self.breaker.window.count(era, false, now_ms),
            Kind::Counted(era) => self.breaker.failed(era, now_ms),
            Kind::Trial { round, wave } => {
                self.breaker.tried((round, wave), Some(went_well), now_ms);
            }
            Kind::Told => {}
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Kind::Trial { round, wave } = self.kind {
            self.breaker.tried((round, wave), None, 0);
        }
    }
}

impl Breaker {
    /// A request failed while the breaker was closed.
    fn failed(&self, era: u64, now_ms: u64) {
        self.window.count(era, true, now_ms);
        let mut inner = self.lock();
        if inner.state != State::Closed || era != self.window.era() {
            return;
        }
        let sums = self.window.sums(now_ms);
        let settings = inner.settings;
        let enough = sums.requests >= settings.requests;
        if enough && sums.failures * 100 >= settings.failures * sums.requests {
            let change = self.opens(&mut inner, now_ms, Some(sums));
            drop(inner);
            self.tell(Some(change));
        }
    }

    /// What a trial came to; none: nothing.
    fn tried(&self, (round, wave): (u64, u64), went_well: Option<bool>, now_ms: u64) {
        let mut inner = self.lock();
        if inner.round != round {
            return;
        }
        let State::HalfOpen {
            out,
            good,
            wave: present,
            ..
        } = &mut inner.state
        else {
            return;
        };
        if wave == *present {
            *out = out.saturating_sub(1);
        }
        let change = match went_well {
            None => None,
            Some(false) => Some(self.opens(&mut inner, now_ms, None)),
            Some(true) => {
                *good = good.saturating_add(1);
                self.closes(&mut inner)
            }
        };
        drop(inner);
        self.tell(change);
    }
}
