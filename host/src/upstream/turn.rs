//! The way of one request through the targets of a group.

use std::rc::Rc;
use std::sync::Arc;

use super::balance::{Seated, Tried};
use super::dial;
use super::pool::{Carrier, Limits, Pool};
use super::send::Order;
use crate::metrics::traffic::Attempt;
use crate::respond::failure::UpstreamFault;

/// A connection to try.
pub(super) struct Checkout {
    pub(super) pool: Rc<Pool>,
    pub(super) carrier: Carrier,
    /// Whether it was used before, and may have died since.
    pub(super) reused: bool,
    /// Which target of the group it leads to.
    pub(super) at: usize,
    /// The request counts there.
    pub(super) seated: Option<Seated>,
}

/// The way of one request through the targets: each is tried at most once.
pub(super) struct Turn<'a> {
    order: &'a Order<'a>,
    tried: Tried,
    /// How often the target that is tried was tried again.
    pub(super) repeats: usize,
}

impl<'a> Turn<'a> {
    /// None was tried yet.
    pub(super) fn new(order: &'a Order<'a>) -> Self {
        Self {
            order,
            tried: Tried::default(),
            repeats: 0,
        }
    }

    /// Whether there is a target that was not tried.
    pub(super) fn has_more(&self) -> bool {
        self.tried.count() < self.order.group.choices(self.order.wish)
    }

    /// A kept connection, or a fresh one to the first target that takes it.
    pub(super) async fn next(&mut self) -> Result<Checkout, UpstreamFault> {
        let group = self.order.group;
        loop {
            let at = group.pick(self.order.wish, &self.tried);
            let found = at.and_then(|at| group.pools().get(at).map(|pool| (at, Rc::clone(pool))));
            let Some((at, pool)) = found else {
                // A group may be empty while a name leads nowhere.
                let upstream = Arc::clone(&group.upstream.name);
                return Err(UpstreamFault::NoTargets { upstream });
            };
            self.tried.add(at);
            self.repeats = 0;
            if let Some(carrier) = pool.take() {
                return Ok(Checkout {
                    pool,
                    carrier,
                    reused: true,
                    at,
                    seated: group.seat(at),
                });
            }
            if let Some(checkout) = self.fresh(pool, at).await? {
                return Ok(checkout);
            }
        }
    }

    /// A fresh connection in the place of a kept one that had died.
    pub(super) async fn again(
        &mut self,
        pool: Rc<Pool>,
        at: usize,
    ) -> Result<Checkout, UpstreamFault> {
        self.repeats += 1;
        match self.fresh(pool, at).await? {
            Some(checkout) => Ok(checkout),
            None => self.next().await,
        }
    }

    /// A fresh connection; none if the target takes none and there are others.
    async fn fresh(&self, pool: Rc<Pool>, at: usize) -> Result<Option<Checkout>, UpstreamFault> {
        let group = self.order.group;
        let (attempt, seated) = (group.attempt(at), group.seat(at));
        let timeouts = self.order.timeouts;
        let limits = Limits {
            connect: timeouts.connect,
            room: timeouts.response,
        };
        let connected = pool.open(limits).await;
        match &connected {
            // The attempt goes on, and is counted when it comes to something.
            Ok(_) => attempt.goes_on(),
            Err(dial::Failed::Connect(_)) => group.came_to(at, attempt, Attempt::ConnectError),
            Err(dial::Failed::Tls(_)) => group.came_to(at, attempt, Attempt::TlsError),
            Err(dial::Failed::Late(_)) => group.came_to(at, attempt, Attempt::ConnectTimeout),
            Err(dial::Failed::Full(_)) => group.came_to(at, attempt, Attempt::Timeout),
        }
        match connected {
            Ok((carrier, reused)) => Ok(Some(Checkout {
                pool,
                carrier,
                reused,
                at,
                seated,
            })),
            Err(failed) if self.has_more() => {
                tracing::warn!(target: "upstream", "{}", into_fault(failed, &pool, self.tried.count()));
                Ok(None)
            }
            Err(failed) => Err(into_fault(failed, &pool, self.tried.count())),
        }
    }
}

/// What it means that a connection, or a stream of one, was not to be had.
fn into_fault(failed: dial::Failed, pool: &Pool, tried: usize) -> UpstreamFault {
    let target = pool.to.target.clone();
    let late = |what, limit| UpstreamFault::TimedOut {
        target: pool.to.target.clone(),
        what,
        limit,
    };
    match failed {
        dial::Failed::Connect(source) | dial::Failed::Tls(source) => UpstreamFault::Connect {
            target,
            tried,
            source,
        },
        dial::Failed::Late(limit) => late("connect", limit),
        dial::Failed::Full(limit) => late("have room for the request", limit),
    }
}
