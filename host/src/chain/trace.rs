//! What hooks did in an exchange, told to whoever asked for it with `--log hook=trace`: author's tools read it.
//!
//! Nobody turned on costs one comparison a call. Values of a request go to the log only where a tool that starts the
//! gateway asked for them by itself: `--log trace` in a hurry must not write down who was there. Others see lengths.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::{Map, Value};
use tracing::Level;

use super::{Link, Matched};
use crate::context::{Context, Phase};

/// The target of these lines.
const TARGET: &str = "hook";

/// Whether values may be told.
static VALUES: AtomicBool = AtomicBool::new(false);

/// Has values of variables and consumers told, for as long as this process lives. For gateways of author's tools.
pub fn tell_values() {
    VALUES.store(true, Ordering::Relaxed);
}

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
    let values = VALUES.load(Ordering::Relaxed);
    let vars = vars(context.vars.iter(), values);
    let consumer = context.consumer.as_deref();
    let consumer = consumer.map(|consumer| shown(consumer.as_bytes(), values));
    let identity = link.instance.identity();
    let status = context
        .response
        .as_ref()
        .map_or(0, |head| head.status.as_u16());
    tracing::trace!(target: "hook", exchange = context.token, plugin = identity.id, version = identity.version, method = %context.method, path = context.path(), status, route = matched.names.map(|names| names.route), consumer, vars, "over");
}

fn vars<'a>(all: impl Iterator<Item = (&'a [u8], &'a [u8])>, values: bool) -> String {
    let vars: Map<String, Value> = all
        .map(|(name, value)| {
            let name = String::from_utf8_lossy(name).into_owned();
            (name, shown(value, values).into())
        })
        .collect();
    Value::Object(vars).to_string()
}

/// A value, or what anybody may know of it.
fn shown(value: &[u8], values: bool) -> String {
    if values {
        String::from_utf8_lossy(value).into_owned()
    } else {
        format!("({} bytes)", value.len())
    }
}

#[cfg(test)]
mod tests {
    use super::vars;

    #[test]
    fn values_are_told_only_where_they_are_asked_for() {
        let all = [(&b"user"[..], &b"ann"[..])];
        assert_eq!(vars(all.into_iter(), false), r#"{"user":"(3 bytes)"}"#);
        assert_eq!(vars(all.into_iter(), true), r#"{"user":"ann"}"#);
    }
}
