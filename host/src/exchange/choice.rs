//! Where a request goes: to the service of its route, or where a plugin wants it to go.

use std::rc::Rc;

use super::Exchange;
use crate::context::Choice;
use crate::local::Generation;
use crate::snapshot::{Forward, Snapshot};
use crate::upstream::balance::Wish;
use crate::upstream::group::Group;

/// The targets a request may go to, and what it asks of the choice among them.
pub(super) fn leads(
    exchange: &Exchange,
    generation: &Generation,
    snapshot: &Snapshot,
    forward: &Forward,
) -> Option<(Rc<Group>, Wish)> {
    let choice = exchange.context.borrow().choice;
    let (service, only) = match choice {
        None => (forward.service, None),
        Some(Choice::Service(service)) => (service, None),
        Some(Choice::Target { service, target }) => (service, Some(target)),
        Some(Choice::Address(address)) => {
            let group = exchange.worker.elsewhere(address, &snapshot.elsewhere);
            return Some((group, Wish::default()));
        }
    };
    let group = generation
        .groups
        .get(snapshot.services.get(service)?.upstream)?;
    let wish = Wish {
        only,
        ..Wish::default()
    };
    Some((Rc::clone(group), wish))
}
