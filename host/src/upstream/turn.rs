//! The way of one request through the targets of a group.

use std::rc::Rc;
use std::time::Duration;

use http::Request;
use std::sync::Arc;

use super::balance::{Seated, Tried};
use super::body::RequestBody;
use super::dial;
use super::lease::Lease;
use super::pool::{Carrier, Limits, Pool};
use super::retry::backoff::{self, pause};
use super::retry::{Progress, Retrying, Trouble};
use super::send::Order;
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

impl Checkout {
    /// What remains of it with an answer.
    pub(super) fn lease(self, response: &http::Response<hyper::body::Incoming>) -> Lease {
        Lease::new(self.pool, (self.carrier, self.seated), response)
    }
}

/// The way of one request through the targets: each is tried once, and all of them anew where retries are left.
pub(super) struct Turn<'a> {
    order: &'a Order<'a>,
    tried: Tried,
    /// How often the target that is tried was tried again.
    pub(super) repeats: usize,
    retrying: Option<Retrying<'a>>,
    /// How many pauses there were.
    pauses: u32,
    /// How long to wait before the next target.
    pause: Duration,
}

impl<'a> Turn<'a> {
    /// None was tried yet.
    pub(super) fn new(order: &'a Order<'a>, request: &mut Request<RequestBody>) -> Self {
        Self {
            order,
            tried: Tried::default(),
            repeats: 0,
            retrying: order
                .retries
                .map(|policy| Retrying::new(policy, order, request)),
            pauses: 0,
            pause: Duration::ZERO,
        }
    }

    /// A kept connection, or a fresh one to the first target that takes it.
    pub(super) async fn next(&mut self) -> Result<Checkout, UpstreamFault> {
        let group = self.order.group;
        loop {
            pause(std::mem::take(&mut self.pause), self.order.activity).await;
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
    pub(super) async fn afresh(
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

    /// The request from its beginning, if it is sent again although a target may have processed it.
    pub(super) fn again(&mut self, at: usize, trouble: Trouble) -> Option<Request<RequestBody>> {
        if !self.goes_on(at, trouble, Progress::Unknown) {
            return None;
        }
        self.retrying.as_ref().and_then(Retrying::request)
    }

    /// Whether all of the request was sent.
    pub(super) fn was_told(&self) -> bool {
        self.retrying.as_ref().is_some_and(Retrying::was_told)
    }

    /// Whether the request goes on to a target after what went wrong at this one, and counts that.
    ///
    /// Without retries it does where this one processed nothing of it and another one is left. With them they decide, and
    /// once all targets were tried it begins anew. It waits before that, and whenever a target had something to do with it.
    pub(super) fn goes_on(&mut self, at: usize, trouble: Trouble, progress: Progress) -> bool {
        let others = self.tried.count() < self.order.group.choices(self.order.wish);
        let Some(retrying) = &mut self.retrying else {
            return progress == Progress::Nothing && others;
        };
        // A body that broke is the client's doing, and will not be whole the next time.
        if self.order.is_body_broken() {
            return false;
        }
        let retried = self.order.group.retried(at);
        match retrying.admits(self.order, (trouble, progress), others) {
            Err(why) => {
                if let (Some(why), Some(retried)) = (why, retried) {
                    retried.denied(why);
                }
                return false;
            }
            Ok(reason) => {
                if let Some(retried) = retried {
                    retried.again(reason);
                }
            }
        }
        if progress == Progress::Unknown || !others {
            self.pause = backoff::length(retrying.policy, self.pauses, fastrand::f64());
            self.pauses = self.pauses.saturating_add(1);
        }
        if !others {
            self.tried = Tried::default();
        }
        true
    }

    /// A fresh connection; none if the target takes none and the request goes on to another one.
    async fn fresh(
        &mut self,
        pool: Rc<Pool>,
        at: usize,
    ) -> Result<Option<Checkout>, UpstreamFault> {
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
            Err(failed) => group.came_to(at, attempt, failed.outcome()),
        }
        match connected {
            Ok((carrier, reused)) => Ok(Some(Checkout {
                pool,
                carrier,
                reused,
                at,
                seated,
            })),
            Err(failed) => {
                let fault = into_fault(failed, &pool, self.tried.count());
                drop(seated);
                if !self.goes_on(at, Trouble::Connect, Progress::Nothing) {
                    return Err(fault);
                }
                tracing::warn!(target: "upstream", "{fault}");
                Ok(None)
            }
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
        dial::Failed::Short(source) => UpstreamFault::NoSocket { target, source },
        dial::Failed::Late(limit) => late("connect", limit),
        dial::Failed::Full(limit) => late("have room for the request", limit),
    }
}
