//! Keeps up with every name of the configuration, and says when one leads elsewhere. Each name has a task of its own, so that
//! a server that does not answer for one keeps nobody from asking for the others.

mod task;

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, timeout_at};

use self::task::Task;
use super::Known;
use super::lookup::{Lookup, Memory};
use super::resolver::{Miss, Resolver};
use crate::config::ready::{Config, Dns, TargetAddress};
use crate::metrics::event::Events;

/// What is said where there is more than is used.
const MORE: &str = "it leads to more addresses than are used; the others are left out";
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
    events: Arc<Events>,
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
    pub fn new(moved: impl Fn() + 'static, events: Arc<Events>, admin: SocketAddr) -> Self {
        Self {
            ear: Rc::new(Ear {
                moved: Box::new(moved),
                events,
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
