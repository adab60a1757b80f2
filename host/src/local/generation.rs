//! A snapshot as one worker holds it: with the worker's own ways to targets and limits.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use super::shares::Shares;
use crate::admission::Limit;
use crate::admission::gate::Door;
use crate::config::ready::ClientHeaders;
use crate::snapshot::{Report, Snapshot, Target, Upstream};
use crate::upstream::group::Group;
use crate::upstream::manner::{Destination, Identity};
use crate::upstream::pool::Pool;

/// A snapshot as one worker holds it.
pub struct Generation {
    /// Always there until the drop.
    snapshot: Option<Arc<Snapshot>>,
    /// Which one it is.
    pub number: u64,
    /// What still runs of it is to end.
    over: Cell<bool>,
    /// Tells those that wait for it.
    ended: Notify,
    /// Tunnels that hold it.
    pub(super) tunnels: Cell<usize>,
    /// In the order of [`Snapshot::upstreams`].
    pub groups: Vec<Rc<Group>>,
    /// How many requests each route forwards at once; empty where no route has a limit.
    doors: Vec<Option<Rc<Door>>>,
    /// Of the routes whose requests are split or copied.
    pub shares: Vec<Shares>,
    /// What is added to `Via`: a copy of this worker's own, so that its reference count is not shared with others.
    pub via: Option<HeaderValue>,
    /// Which headers of clients count; a copy of its own as well.
    pub client_headers: Rc<ClientHeaders>,
    worker: usize,
    reports: UnboundedSender<Report>,
}

impl Generation {
    /// The snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_deref()
    }

    /// Has the tunnels end that still hold it; how many there are.
    pub(super) fn ends(&self) -> usize {
        self.over.set(true);
        self.ended.notify_waiters();
        self.tunnels.get()
    }

    /// Waits until what still runs of it is to end.
    pub async fn over(&self) {
        let ended = self.ended.notified();
        if !self.over.get() {
            ended.await;
        }
    }

    /// How many requests a route forwards at once.
    #[must_use]
    pub fn door(&self, route: usize) -> Option<&Rc<Door>> {
        self.doors.get(route)?.as_ref()
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        // Taking a snapshot apart may mean a large table and the last hold on a plugin; a worker has no time for that.
        if let Some(snapshot) = self.snapshot.take() {
            let _ = self.reports.send(Report::Released {
                worker: self.worker,
                snapshot,
            });
        }
    }
}

/// What a worker serves of a snapshot, and the pools of before that none of its targets has. What is known of the targets and
/// the routes of `before` stays known.
pub(super) fn generation(
    worker: usize,
    pools: &mut HashMap<Identity, Rc<Pool>>,
    before: Option<&Generation>,
    snapshot: Arc<Snapshot>,
    reports: UnboundedSender<Report>,
) -> (Generation, HashMap<Identity, Rc<Pool>>) {
    let mut kept = HashMap::new();
    let (groups, shares) = before.map_or((&[][..], &[][..]), |before| {
        (&before.groups[..], &before.shares[..])
    });
    let shares = Shares::of(&snapshot, shares);
    let known: HashMap<&str, &Rc<Group>> = groups
        .iter()
        .map(|group| (&*group.upstream.name, group))
        .collect();
    let mut pool = |upstream: &Upstream, target: &Target| {
        let to = Destination {
            target: target.address.clone(),
            name: target.name.clone(),
            manner: upstream.manner.clone(),
        };
        let pool = kept.entry(to.identity()).or_insert_with_key(|identity| {
            let before = pools.remove(identity);
            before.unwrap_or_else(|| Pool::new(to, &target.account.connections))
        });
        Rc::clone(pool)
    };
    let group = |upstream: &Arc<Upstream>| {
        let targets = upstream.targets.iter();
        let pools = targets.map(|target| pool(upstream, target)).collect();
        let before = known.get(&*upstream.name).copied();
        // Where nothing changed, neither does whose turn it is.
        match before.filter(|before| Arc::ptr_eq(&before.upstream, upstream)) {
            Some(same) => Rc::clone(same),
            None => Rc::new(Group::new(
                Arc::clone(upstream),
                pools,
                before.map(|one| &**one),
            )),
        }
    };
    let groups = snapshot.upstreams.iter().map(group).collect();
    let doors = doors(&snapshot);
    let displaced = std::mem::replace(pools, kept);
    let via = snapshot
        .settings
        .via
        .as_ref()
        .and_then(|via| HeaderValue::from_bytes(via.as_bytes()).ok());
    let client_headers = Rc::new(snapshot.settings.client_headers.clone());
    let generation = Generation {
        number: snapshot.generation,
        over: Cell::new(false),
        ended: Notify::new(),
        tunnels: Cell::new(0),
        via,
        client_headers,
        snapshot: Some(snapshot),
        groups,
        doors,
        shares,
        worker,
        reports,
    };
    (generation, displaced)
}

/// This worker's ways to the limits of the routes.
fn doors(snapshot: &Snapshot) -> Vec<Option<Rc<Door>>> {
    let mut limits = snapshot.routes.iter().map(|route| route.limit.as_ref());
    if limits.clone().all(|limit| limit.is_none()) {
        return Vec::new();
    }
    let door = |limit: Option<&Limit>| limit.map(|limit| Door::new(&limit.gate));
    limits.by_ref().map(door).collect()
}
