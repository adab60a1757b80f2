//! Crowds: connections that are held rather than used, thousands of them.
//!
//! - [`idle`]: each asks once and then stays as it is, until it is asked to ask again;
//! - [`reader`]: each asks for a body and takes next to nothing of it;
//! - [`sender`]: each sends a head, a byte now and then.
//!
//! What becomes of them is said on standard output, one line each: `held N` once all have come that will, `asked N` when
//! all have asked again (a line on standard input has them do it), `gone N` when the last has gone. The crowd ends with
//! standard input; the report then counts who failed, and why.

mod idle;
mod reader;
mod roll;
mod sender;

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use serde_json::Value;
use swapgate_bench::Outcome;
use tokio::sync::{Semaphore, watch};

use crate::plan::Plan;
use roll::Roll;

/// How many of a crowd may be on their way at once: connecting, or asking. The queue of a listener is finite, and a proxy
/// needs a second connection for everybody who asks.
const AT_ONCE: usize = 64;
/// How many of them come from one address, which has some 28,000 ports.
const FROM_ONE_ADDRESS: usize = 5_000;

/// What everybody in a crowd does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Idle,
    Reads,
    Sends,
}

/// What the members of a crowd share.
#[derive(Clone)]
struct Shared {
    plan: Rc<Plan>,
    roll: Rc<Roll>,
    doors: Rc<Semaphore>,
    /// How many times everybody was told to ask again.
    again: watch::Receiver<u64>,
}

/// Holds a crowd until the input ends.
pub(crate) async fn hold(plan: Plan, manner: Manner) -> Outcome<Value> {
    let plan = Rc::new(plan);
    let roll = Rc::new(Roll::of(plan.connections));
    let (tell, again) = watch::channel(0);
    let shared = Shared {
        plan: Rc::clone(&plan),
        roll: Rc::clone(&roll),
        doors: Rc::new(Semaphore::new(AT_ONCE)),
        again,
    };
    for number in 0..plan.connections {
        tokio::task::spawn_local(join(shared.clone(), manner, number));
    }
    let mut lines = crate::lines();
    while lines.recv().await.is_some() {
        roll.all_ask();
        tell.send_modify(|times| *times += 1);
    }
    Ok(roll.report())
}

/// One life in a crowd.
async fn join(shared: Shared, manner: Manner, number: usize) {
    let from = source(number);
    let end = match manner {
        Manner::Idle => idle::live(&shared, from).await,
        Manner::Reads => reader::live(&shared, from).await,
        Manner::Sends => sender::live(&shared, from).await,
    };
    match end {
        Ok(()) => shared.roll.went(),
        Err(reason) => shared.roll.failed(reason),
    }
}

/// Where number `number` comes from: the ports of one address do not last.
fn source(number: usize) -> IpAddr {
    let last = u8::try_from(1 + number / FROM_ONE_ADDRESS).unwrap_or(u8::MAX);
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
}
