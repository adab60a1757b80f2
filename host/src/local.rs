//! What one worker keeps for all its exchanges. Nothing here is shared with another thread.

mod generation;
mod request_id;
pub mod shares;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use swapgate_abi::{ExchangeTok, WakeTok};
use tokio::sync::mpsc::UnboundedSender;

use self::generation::generation;
use self::request_id::request_id;
use crate::context::RequestId;
use crate::snapshot::{Left, Report, Snapshot, TargetAccount, Upstream};
use crate::upstream::group::Group;
use crate::upstream::manner::{Destination, Identity};
use crate::upstream::pool::Pool;

pub use self::generation::Generation;

/// How many addresses beside the targets a worker keeps connections to.
const ELSEWHERE: usize = 64;

/// The state of one worker.
pub struct Local {
    /// Which worker, from 0.
    pub worker: usize,
    generation: RefCell<Rc<Generation>>,
    /// By all that makes a connection what it is, so that two upstreams share none that are not the same.
    pools: RefCell<HashMap<Identity, Rc<Pool>>>,
    /// Addresses that plugins chose and no upstream has.
    elsewhere: RefCell<HashMap<SocketAddr, Rc<Group>>>,
    reports: UnboundedSender<Report>,
    /// Exchanges so far; makes tokens and ids.
    count: Cell<u64>,
    /// Drawn at the start, so that two processes do not give the same ids.
    seed: u64,
    /// Exchanges that wait for something, by their tokens.
    waiting: RefCell<HashMap<ExchangeTok, Weak<dyn Told>>>,
    /// Whether the gateway is shutting down.
    draining: Cell<bool>,
    /// Exchanges that run, tunnels included.
    running: Cell<usize>,
    /// Connections and streams that changed over to another protocol.
    tunnels: Cell<usize>,
    /// The generations of before, as long as somebody holds them.
    before: RefCell<Vec<Weak<Generation>>>,
}

/// An exchange, as seen by its worker: somebody who may be told something.
pub trait Told {
    /// A wake token was used.
    fn wake(self: Rc<Self>, token: WakeTok);
    /// The gateway is shutting down.
    fn hint(self: Rc<Self>);
}

/// A tunnel that is open on a worker.
pub struct TunnelCount(Rc<Local>, Rc<Generation>);

impl TunnelCount {
    /// Waits until it is to end because its generation is.
    pub async fn overdue(&self) {
        self.1.over().await;
    }
}

impl Drop for TunnelCount {
    fn drop(&mut self) {
        let Self(worker, generation) = self;
        worker.tunnels.set(worker.tunnels.get().saturating_sub(1));
        let open = generation.tunnels.get();
        generation.tunnels.set(open.saturating_sub(1));
    }
}

impl Local {
    /// Starts a worker's state with its first snapshot.
    #[must_use]
    pub fn new(
        worker: usize,
        seed: u64,
        snapshot: Arc<Snapshot>,
        reports: UnboundedSender<Report>,
    ) -> Rc<Self> {
        let mut pools = HashMap::new();
        let (generation, _) = generation(worker, &mut pools, None, snapshot, reports.clone());
        Rc::new(Self {
            worker,
            generation: RefCell::new(Rc::new(generation)),
            pools: RefCell::new(pools),
            elsewhere: RefCell::default(),
            reports,
            count: Cell::new(0),
            seed,
            waiting: RefCell::default(),
            draining: Cell::new(false),
            running: Cell::new(0),
            tunnels: Cell::new(0),
            before: RefCell::default(),
        })
    }

    /// The generation that serves now; cloned once by each exchange, which keeps it to its end.
    #[must_use]
    pub fn generation(&self) -> Rc<Generation> {
        Rc::clone(&self.generation.borrow())
    }

    /// Changes over to a new snapshot. Connections to targets that stay are kept, unused ones to others end: an exchange
    /// may hold the generation before for hours, and what it kept must not outlive an authority that was withdrawn.
    pub fn adopt(&self, snapshot: Arc<Snapshot>) {
        let mut pools = self.pools.borrow_mut();
        let before = self.generation();
        let (adopted, displaced) = generation(
            self.worker,
            &mut pools,
            Some(&before),
            snapshot,
            self.reports.clone(),
        );
        let mut earlier = self.before.borrow_mut();
        earlier.retain(|one| one.strong_count() > 0);
        earlier.push(Rc::downgrade(&before));
        drop((before, earlier));
        let is_displaced = |pool: &Rc<Pool>| displaced.values().any(|old| Rc::ptr_eq(old, pool));
        let mut elsewhere = self.elsewhere.borrow_mut();
        elsewhere.retain(|_, group| !group.pools().iter().any(is_displaced));
        displaced.values().for_each(|pool| pool.close());
        drop(self.generation.replace(Rc::new(adopted)));
    }

    /// The way to an address that a plugin chose, whose kept connections it shares with the target of that address if
    /// there is one.
    #[must_use]
    pub fn elsewhere(&self, address: SocketAddr, account: &TargetAccount) -> Rc<Group> {
        let mut known = self.elsewhere.borrow_mut();
        if let Some(group) = known.get(&address) {
            return Rc::clone(group);
        }
        if known.len() >= ELSEWHERE {
            // Running exchanges keep what they use; the rest is connected to again.
            let targets = self.pools.borrow();
            let is_own = |pool: &&Rc<Pool>| !targets.values().any(|own| Rc::ptr_eq(own, pool));
            for (_, group) in known.drain() {
                let pools = group.pools().iter();
                pools.filter(is_own).for_each(|pool| pool.close());
            }
        }
        let to = Destination::plain(address.into());
        let pool = self.pools.borrow().get(&to.identity()).cloned();
        let pool = pool.unwrap_or_else(|| Pool::new(to, &account.connections));
        let upstream = Upstream::alone(address.into(), account.clone());
        let group = Rc::new(Group::new(upstream, vec![pool], None));
        known.insert(address, Rc::clone(&group));
        group
    }

    /// Lets go of connections to targets that are closed or grew old, or whose target is out of rotation.
    pub fn sweep(&self) {
        let known = self.pools.borrow();
        known.values().for_each(|pool| pool.sweep());
        let generation = self.generation();
        generation.groups.iter().for_each(|group| group.let_go());
        let elsewhere = self.elsewhere.borrow();
        for (address, group) in &*elsewhere {
            // A pool may be that of a target as well, which was looked through just now: twice would age it twice.
            let target = known.get(&Destination::plain((*address).into()).identity());
            let own = |pool: &&Rc<Pool>| target.is_none_or(|known| !Rc::ptr_eq(known, pool));
            group
                .pools()
                .iter()
                .filter(own)
                .for_each(|pool| pool.sweep());
        }
    }

    /// Lets go of every connection to a target that is not in use: somebody needs what it holds.
    pub fn let_go(&self) {
        self.pools.borrow().values().for_each(|pool| pool.let_go());
        for group in self.elsewhere.borrow().values() {
            group.pools().iter().for_each(|pool| pool.let_go());
        }
    }

    /// Remembers an exchange that waits for something, until [`Self::forget`].
    pub fn know(&self, token: ExchangeTok, exchange: Weak<dyn Told>) {
        self.waiting.borrow_mut().insert(token, exchange);
    }

    /// Forgets an exchange that is over.
    pub fn forget(&self, token: ExchangeTok) {
        self.waiting.borrow_mut().remove(&token);
    }

    /// Tells an exchange that a wake token of it was used; one that is over harms nobody.
    pub fn wake(&self, exchange: ExchangeTok, token: WakeTok) {
        let found = self.waiting.borrow().get(&exchange).and_then(Weak::upgrade);
        if let Some(exchange) = found {
            exchange.wake(token);
        }
    }

    /// An exchange begins.
    pub fn exchange_begins(&self) {
        self.running.set(self.running.get() + 1);
    }

    /// An exchange is over.
    pub fn exchange_ends(&self) {
        self.running.set(self.running.get().saturating_sub(1));
    }

    /// A tunnel of this generation is open, until what this gives is dropped.
    #[must_use]
    pub fn tunnel(self: &Rc<Self>, generation: &Rc<Generation>) -> TunnelCount {
        self.tunnels.set(self.tunnels.get() + 1);
        generation.tunnels.set(generation.tunnels.get() + 1);
        TunnelCount(Rc::clone(self), Rc::clone(generation))
    }

    /// What is left to end beside so many connections.
    #[must_use]
    pub fn left(&self, connections: usize) -> Left {
        let tunnels = self.tunnels.get();
        Left {
            connections,
            exchanges: self.running.get().saturating_sub(tunnels),
            tunnels,
        }
    }

    /// Has the tunnels end whose exchange began before a generation; how many there were.
    #[must_use]
    pub fn end_tunnels_before(&self, generation: u64) -> usize {
        let before = self.before.borrow();
        let held = before.iter().filter_map(Weak::upgrade);
        let held = held.filter(|one| one.number < generation);
        held.map(|one| one.ends()).sum()
    }

    /// Whether the gateway is shutting down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Tells every exchange that waits that the gateway is shutting down.
    pub fn drain(&self) {
        self.draining.set(true);
        let waiting: Vec<_> = self.waiting.borrow().values().cloned().collect();
        for exchange in waiting.iter().filter_map(Weak::upgrade) {
            exchange.hint();
        }
    }

    /// A token and an id for the next exchange.
    #[must_use]
    pub fn next_exchange(&self) -> (u64, RequestId) {
        let count = self.count.get().wrapping_add(1);
        self.count.set(count);
        // 16 bits of worker, 48 of count: at a million exchanges a second a worker has nine years.
        let token = ((self.worker as u64 + 1) << 48) | (count & ((1 << 48) - 1));
        (token, RequestId::Own(request_id(self.seed, token)))
    }
}
