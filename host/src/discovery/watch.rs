//! Keeps up with every name of the configuration, and says when one leads elsewhere. Each name has a task of its own, so that
//! a server that does not answer for one keeps nobody from asking for the others.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep, timeout_at};

use super::lookup::{Lookup, Memory, Outcome};
use super::resolver::{Miss, Resolver};
use super::{Known, Place};
use crate::config::ready::{Config, Dns, TargetAddress};
use crate::counted::Metrics;
use crate::panics::{self, Part, fault};

/// The longest pause after look-ups that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The shortest pause after any.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// What is said where there is more than is used.
const MORE: &str = "it leads to more addresses than are used; the others are left out";
/// How many addresses a line of the log names.
const NAMED: usize = 8;

/// All names of the configuration that serves, and of one that is being tried.
pub struct Discovery {
    ear: Rc<Ear>,
    admin: SocketAddr,
    watched: HashMap<TargetAddress, Watched>,
    /// How long to wait for what was asked last.
    until: Instant,
}

/// Who hears of what is found.
struct Ear {
    /// Is called when a name leads elsewhere, or cannot be looked up any more.
    moved: Box<dyn Fn()>,
    metrics: Arc<Metrics>,
    heard: Notify,
}

/// One name, and the task that keeps up with it.
struct Watched {
    resolver: Rc<Resolver>,
    finding: Rc<RefCell<Finding>>,
    task: JoinHandle<()>,
}

/// What is known of a name.
#[derive(Default)]
struct Finding {
    memory: Memory,
    /// Why it is what was known before.
    miss: Option<Miss>,
    /// Whether there is more than is used.
    more: bool,
    /// Whether it was asked for until an answer or the lack of one.
    asked: bool,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Discovery {
    /// Nothing is looked up yet. `moved` is called whenever something else is known of a name than before. No name leads to
    /// the admin listener.
    #[must_use]
    pub fn new(moved: impl Fn() + 'static, metrics: Arc<Metrics>, admin: SocketAddr) -> Self {
        Self {
            ear: Rc::new(Ear {
                moved: Box::new(moved),
                metrics,
                heard: Notify::new(),
            }),
            admin,
            watched: HashMap::new(),
            until: Instant::now(),
        }
    }

    /// Begins to look up the names of a configuration that are not known yet, as it says.
    pub fn begin(&mut self, config: &Config) {
        self.until = Instant::now() + config.dns.timeout;
        let resolver = self.resolver(&config.dns);
        for name in names(config) {
            if !self.watched.contains_key(name) {
                let watched = self.watch(name, &resolver, Memory::default());
                self.watched.insert(name.clone(), watched);
            }
        }
    }

    /// Waits until every name was asked for once, at most for as long as an answer may take.
    pub async fn first(&self) {
        let all_asked = async {
            loop {
                let heard = self.ear.heard.notified();
                let mut findings = self.watched.values().map(|one| one.finding.borrow());
                if findings.all(|finding| finding.asked) {
                    return;
                }
                heard.await;
            }
        };
        let _ = timeout_at(self.until, all_asked).await;
    }

    /// Forgets the names that a configuration does not have, and goes by its settings.
    pub fn keep(&mut self, config: &Config) {
        let named: Vec<_> = names(config).collect();
        self.watched.retain(|name, _| named.contains(&name));
        let resolver = self.resolver(&config.dns);
        let (mut kept, others): (HashMap<_, _>, Vec<_>) = {
            let (kept, others): (Vec<_>, Vec<_>) = self
                .watched
                .drain()
                .partition(|(_, one)| *one.resolver.settings() == config.dns);
            (kept.into_iter().collect(), others)
        };
        for (name, before) in others {
            let memory = before.finding.borrow().memory.clone();
            let watched = self.watch(&name, &resolver, memory);
            kept.insert(name, watched);
        }
        self.watched = kept;
    }

    /// Which places all of them lead to.
    #[must_use]
    pub fn known(&self) -> Known {
        Known::new(self.watched.iter().map(|(name, one)| {
            let places = Arc::clone(&one.finding.borrow().memory.places);
            (name.clone(), places)
        }))
    }

    /// Every name with what is known of it, in their order.
    #[must_use]
    pub fn document(&self) -> Vec<Value> {
        let mut all: Vec<_> = self.watched.iter().collect();
        all.sort_by_key(|(name, _)| name.to_string());
        let shown = |(name, one): (&TargetAddress, &Watched)| {
            let finding = one.finding.borrow();
            let places = finding.memory.places.iter();
            let addresses = places.map(|place| place.address.to_string());
            json!({
                "name": name.to_string(),
                "addresses": addresses.collect::<Vec<_>>(),
                "error": finding.miss.as_ref().map(ToString::to_string),
                "note": finding.more.then_some(MORE),
            })
        };
        all.into_iter().map(shown).collect()
    }

    /// The one that asks as these settings say: one that there is, or a new one.
    fn resolver(&self, dns: &Dns) -> Rc<Resolver> {
        let mut known = self.watched.values().map(|one| &one.resolver);
        let same = known.find(|resolver| resolver.settings() == dns);
        same.map_or_else(|| Rc::new(Resolver::new(dns.clone())), Rc::clone)
    }

    fn watch(&self, name: &TargetAddress, resolver: &Rc<Resolver>, memory: Memory) -> Watched {
        let finding = Rc::new(RefCell::new(Finding {
            memory: memory.clone(),
            ..Finding::default()
        }));
        let task = Task {
            name: name.to_string(),
            lookup: Lookup::new(name.clone(), self.admin, memory),
            resolver: Rc::clone(resolver),
            finding: Rc::clone(&finding),
            ear: Rc::clone(&self.ear),
        };
        Watched {
            resolver: Rc::clone(resolver),
            finding,
            task: spawn_local(task.run()),
        }
    }
}

/// The names of a configuration.
fn names(config: &Config) -> impl Iterator<Item = &TargetAddress> {
    let targets = config.upstreams.iter().flat_map(|one| &one.targets);
    targets
        .map(|target| &target.address)
        .filter(|address| address.fixed().is_none())
}

struct Task {
    name: String,
    lookup: Lookup,
    resolver: Rc<Resolver>,
    finding: Rc<RefCell<Finding>>,
    ear: Rc<Ear>,
}

impl Task {
    async fn run(mut self) {
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
            self.ear.metrics.events.looked_up(result(&outcome));
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
