//! What hooks did in an exchange, told to whoever asked for it with `--log hook=trace`: author's tools read it.
//!
//! Nobody turned on costs one comparison a call. Values of a request go to the log here, which no serving gateway wants.

use std::time::Instant;

use serde_json::{Map, Value};
use tracing::Level;

use super::{Link, Matched};
use crate::context::{Context, Phase};

/// The target of these lines.
const TARGET: &str = "hook";

/// When a call began, if somebody wants to know.
pub(super) struct Began(Option<Instant>);

/// A call is about to be made.
#[inline]
pub(super) fn begin() -> Began {
    Began(tracing::enabled!(target: TARGET, Level::TRACE).then(Instant::now))
}

/// It returned, with this code.
#[inline]
pub(super) fn returned(began: &Began, link: &Link, phase: Phase, code: i32, context: &Context) {
    if let Began(Some(began)) = began {
        tell(*began, link, phase, code, context);
    }
}

#[cold]
fn tell(began: Instant, link: &Link, phase: Phase, code: i32, context: &Context) {
    let ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let identity = link.instance.identity();
    let error = context.error.as_deref().unwrap_or_default();
    tracing::trace!(target: "hook", exchange = context.token, plugin = identity.id, version = identity.version, phase = phase.name(), ns, code, error, "hook");
}

/// The exchange is over for this instance.
pub(super) fn ended(link: &Link, context: &Context, matched: Matched<'_>) {
    if !tracing::enabled!(target: TARGET, Level::TRACE) {
        return;
    }
    let vars: Map<String, Value> = context
        .vars
        .iter()
        .map(|(name, value)| {
            let name = String::from_utf8_lossy(name).into_owned();
            (name, String::from_utf8_lossy(value).into())
        })
        .collect();
    let vars = Value::Object(vars).to_string();
    let identity = link.instance.identity();
    let status = context
        .response
        .as_ref()
        .map_or(0, |head| head.status.as_u16());
    tracing::trace!(target: "hook", exchange = context.token, plugin = identity.id, version = identity.version, method = %context.method, path = context.path(), status, route = matched.names.map(|names| names.route), consumer = context.consumer.as_deref(), vars, "over");
}
