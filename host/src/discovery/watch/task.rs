//! The task that keeps up with one name: it asks, says what is new, and waits for as long as the answer is good.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;

use super::{Ear, Finding, MORE};
use crate::config::ready::Dns;
use crate::discovery::Place;
use crate::discovery::lookup::{Lookup, Outcome};
use crate::discovery::resolver::{Miss, Resolver};
use crate::panics::{self, Part, fault};

/// The longest pause after look-ups that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The shortest pause after any.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// How many addresses a line of the log names.
const NAMED: usize = 8;

pub(super) struct Task {
    pub(super) name: String,
    pub(super) lookup: Lookup,
    pub(super) resolver: Rc<Resolver>,
    pub(super) finding: Rc<RefCell<Finding>>,
    pub(super) ear: Rc<Ear>,
}

impl Task {
    pub(super) async fn run(mut self) {
        // What is known stays known: only the look-ups begin anew.
        while let Err(panicked) = panics::isolated(Part::Discovery, pin!(self.follow())).await {
            panicked.say();
            sleep(SHORTEST_PAUSE).await;
        }
    }

    async fn follow(&mut self) {
        let mut failures = 0;
        loop {
            fault::point("look-up");
            let outcome = self.lookup.renew(&self.resolver).await;
            self.ear.events.looked_up(result(&outcome));
            failures = if outcome.miss.is_some() {
                failures + 1
            } else {
                0
            };
            let pause = pause(&outcome, failures, self.resolver.settings());
            self.tell(&outcome);
            sleep(pause).await;
        }
    }

    /// Says what is new, and only that.
    fn tell(&self, outcome: &Outcome) {
        let now = Finding {
            memory: self.lookup.memory().clone(),
            miss: outcome.miss.clone(),
            // What is used stays where nothing was found, and so does what is left out.
            more: outcome.more || (outcome.ttl.is_none() && self.finding.borrow().more),
            asked: true,
        };
        let more = now.more;
        let before = self.finding.replace(now);
        let missed = before.miss != outcome.miss;
        let moved = *before.memory.places != *self.places();
        if moved {
            self.say_moved(&before.memory.places);
        }
        if missed {
            self.say_missed(outcome.miss.as_ref());
        }
        if more && !before.more {
            tracing::warn!(target: "discovery", name = self.name, "{MORE}");
        }
        self.ear.heard.notify_waiters();
        if moved || missed || more != before.more {
            (self.ear.moved)();
        }
    }

    fn places(&self) -> &[Place] {
        &self.lookup.memory().places
    }

    fn say_moved(&self, before: &[Place]) {
        let places = self.places();
        let lacks =
            |list: &[Place], one: &Place| list.iter().all(|other| other.address != one.address);
        let added = places.iter().filter(|one| lacks(before, one));
        let removed = before.iter().filter(|one| lacks(places, one));
        tracing::info!(
            target: "discovery",
            name = self.name,
            addresses = places.len(),
            added = listed(added),
            removed = listed(removed),
            "leads elsewhere"
        );
    }

    fn say_missed(&self, miss: Option<&Miss>) {
        let name = &self.name;
        let known = self.places().len();
        match miss {
            None => tracing::info!(target: "discovery", name, "can be looked up again"),
            Some(miss) if known == 0 => {
                tracing::warn!(target: "discovery", name, "cannot be looked up, and no address of it is known: {miss}; it is tried again");
            }
            Some(miss) => {
                tracing::warn!(target: "discovery", name, known, "cannot be looked up, or not as a whole: {miss}; what was known last stays, and it is tried again");
            }
        }
    }
}

fn listed<'a>(places: impl Iterator<Item = &'a Place>) -> String {
    let all: Vec<_> = places.map(|place| place.address.to_string()).collect();
    let shown = all.get(..NAMED).unwrap_or(&all).join(", ");
    match all.len().checked_sub(NAMED) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

fn result(outcome: &Outcome) -> &'static str {
    match (&outcome.miss, outcome.ttl) {
        (None, _) => "ok",
        (Some(_), Some(_)) => "partial",
        (Some(miss), None) if miss.is_negative() => "negative",
        (Some(_), None) => "failed",
    }
}

/// How long until the next look-up: as long as the answer is good, or longer and longer after failures.
fn pause(outcome: &Outcome, failures: u32, dns: &Dns) -> Duration {
    let good = outcome.ttl.map(|ttl| ttl.clamp(dns.min_ttl, dns.max_ttl));
    let doubled = dns
        .min_ttl
        .saturating_mul(1 << failures.saturating_sub(1).min(16));
    let again = outcome.miss.is_some().then(|| {
        let longest = LONGEST_PAUSE.clamp(dns.min_ttl, dns.max_ttl);
        doubled.min(longest)
    });
    let pause = good.into_iter().chain(again).min();
    pause.unwrap_or(LONGEST_PAUSE).max(SHORTEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_good_for_their_time_and_failures_wait_longer_and_longer() {
        let dns = Dns {
            servers: Vec::new(),
            min_ttl: Duration::from_secs(2),
            max_ttl: Duration::from_secs(60),
            timeout: Duration::from_secs(5),
        };
        let check = |ttl: Option<u64>, failures, expected| {
            let outcome = Outcome {
                ttl: ttl.map(Duration::from_secs),
                miss: (failures > 0).then_some(Miss::NoName),
                more: true,
            };
            assert_eq!(
                pause(&outcome, failures, &dns),
                Duration::from_secs(expected),
                "{outcome:?}"
            );
        };
        check(Some(0), 0, 2);
        check(Some(30), 0, 30);
        check(Some(3600), 0, 60);
        check(None, 1, 2);
        check(None, 2, 4);
        check(None, 3, 8);
        check(None, 5, 30);
        check(None, 500, 30);
        // Where a part is missing, it is asked for before the rest is due.
        check(Some(60), 1, 2);
    }
}
