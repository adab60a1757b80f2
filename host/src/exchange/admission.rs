//! Going in: an exchange takes a place of its route and one of the upstream before it is sent, and keeps both until it is
//! over.

use std::rc::Rc;
use std::sync::Arc;

use super::Exchange;
use crate::activity::Activity;
use crate::admission::gate::{Asked, Door, Permit};
use crate::admission::refusal::{Refusal, Whose};
use crate::local::Generation;
use crate::upstream::group::Group;

/// The places an exchange has.
#[derive(Debug, Default)]
pub(super) struct Permits {
    _route: Option<Permit>,
    _upstream: Option<Permit>,
}

/// Lets an exchange in, perhaps after a while. The route comes first: whoever waits for it keeps nobody from the upstream.
///
/// # Errors
/// There is no place, and none came free in time.
pub(super) async fn enter(
    exchange: &Exchange,
    generation: &Generation,
    group: &Group,
) -> Result<(), Refusal> {
    let route = exchange.matched.get();
    let route = route.and_then(|matched| generation.door(matched.route));
    if route.is_none() && group.door.is_none() {
        return Ok(());
    }
    let activity = exchange.activity();
    let permits = Permits {
        _route: through(route, activity, Whose::Route).await?,
        _upstream: through(group.door.as_ref(), activity, Whose::Upstream).await?,
    };
    exchange.permits.set(permits);
    Ok(())
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
