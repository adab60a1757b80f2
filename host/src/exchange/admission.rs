//! Going in: an exchange passes the breaker of its upstream, takes a place of its route and one of the upstream before it is
//! sent, and keeps both until it is over.

use std::rc::Rc;
use std::sync::Arc;

use http::StatusCode;

use super::{Exchange, direct};
use crate::activity::Activity;
use crate::admission::Fuse;
use crate::admission::breaker::Pass;
use crate::admission::gate::{Asked, Door, Permit};
use crate::admission::refusal::{Refusal, Whose};
use crate::context::Answer;
use crate::health::clock::now_ms;
use crate::local::Generation;
use crate::respond::failure::{Failure, UpstreamFault};
use crate::upstream::group::Group;

/// The places an exchange has.
#[derive(Debug, Default)]
pub(super) struct Permits {
    _route: Option<Permit>,
    _upstream: Option<Permit>,
}

/// What takes the place of an upstream's answer.
#[derive(Debug)]
pub(super) enum Refused {
    /// The answer that is configured for it.
    Answer(Box<Answer>),
    /// The gateway's own.
    Failure(Failure),
}

impl<T: Into<Failure>> From<T> for Refused {
    fn from(failure: T) -> Self {
        Self::Failure(failure.into())
    }
}

/// A call of an upstream that was let in. Dropped without a word it says nothing of the upstream.
#[derive(Debug)]
#[must_use]
pub(super) struct Call<'a>(Option<(Pass<'a>, &'a Fuse)>);

/// Lets an exchange in, perhaps after a while. The route comes first: whoever waits for it keeps nobody from the upstream.
///
/// # Errors
/// There is no place and none came free in time, or the upstream is left alone.
pub(super) async fn enter<'a>(
    exchange: &Exchange,
    generation: &Generation,
    group: &'a Group,
) -> Result<Call<'a>, Refused> {
    let route = exchange.matched.get();
    let route = route.and_then(|matched| generation.door(matched.route));
    let fuse = group.upstream.fuse.as_ref();
    if route.is_none() && group.door.is_none() {
        return call(group, fuse);
    }
    if let Some(fuse) = fuse
        && let Some(left) = fuse.breaker.refuses(now_ms())
    {
        // Nobody waits for what is not to be had.
        return Err(left_alone(group, fuse, left));
    }
    let activity = exchange.activity();
    let permits = Permits {
        _route: through(route, activity, Whose::Route).await?,
        _upstream: through(group.door.as_ref(), activity, Whose::Upstream).await?,
    };
    let call = call(group, fuse)?;
    exchange.permits.set(permits);
    Ok(call)
}

fn call<'a>(group: &'a Group, fuse: Option<&'a Fuse>) -> Result<Call<'a>, Refused> {
    let Some(fuse) = fuse else {
        return Ok(Call(None));
    };
    match fuse.breaker.enter(now_ms()) {
        Ok(pass) => Ok(Call(Some((pass, fuse)))),
        Err(left) => Err(left_alone(group, fuse, left)),
    }
}

fn left_alone(group: &Group, fuse: &Fuse, left: std::time::Duration) -> Refused {
    match &fuse.settings.fallback {
        Some(fallback) => Refused::Answer(Box::new(direct::respond(fallback))),
        None => Refusal::Open {
            upstream: Arc::clone(&group.upstream.name),
            left,
        }
        .into(),
    }
}

async fn through(
    door: Option<&Rc<Door>>,
    activity: &Activity,
    whose: impl FnOnce(Arc<str>) -> Whose,
) -> Result<Option<Permit>, Refusal> {
    let Some(door) = door else {
        return Ok(None);
    };
    let whose = || whose(Arc::clone(&door.gate().name));
    match door.ask() {
        Asked::Enter(permit) => Ok(Some(permit)),
        Asked::Full => Err(Refusal::Full {
            whose: whose(),
            wait: door.gate().patience(),
        }),
        Asked::Wait(waiting) => {
            let _looks = Looks::begin(activity);
            let wait = waiting.patience;
            let permit = waiting.wait().await;
            permit.map(Some).ok_or_else(|| Refusal::Late {
                whose: whose(),
                wait,
            })
        }
    }
}

impl Call<'_> {
    /// The upstream answered.
    pub(super) fn answered(self, status: StatusCode) {
        if let Some((pass, fuse)) = self.0 {
            pass.came_to(!fuse.settings.statuses.contains(status), now_ms());
        }
    }

    /// It did not.
    pub(super) fn failed(self, fault: &UpstreamFault) {
        let is_its_own = match fault {
            UpstreamFault::Connect { .. }
            | UpstreamFault::TimedOut { .. }
            | UpstreamFault::Died { .. }
            | UpstreamFault::Malformed { .. }
            | UpstreamFault::NoTargets { .. } => true,
            UpstreamFault::Overdue { its_own } => *its_own,
            UpstreamFault::NoSocket { .. }
            | UpstreamFault::NoUpgrade { .. }
            | UpstreamFault::Unwritable { .. } => false,
        };
        if let (true, Some((pass, _))) = (is_its_own, self.0) {
            pass.came_to(false, now_ms());
        }
    }
}

/// While it waits, it is looked whether the client is still there.
struct Looks<'a>(&'a Activity);

impl<'a> Looks<'a> {
    fn begin(activity: &'a Activity) -> Self {
        activity.wait_begins();
        Self(activity)
    }
}

impl Drop for Looks<'_> {
    fn drop(&mut self) {
        self.0.wait_ends();
    }
}
