//! The functions of the table that are about metrics.

use swapgate_abi::{MetricTok, SgHost, SgLabel, SgStr, code};

use super::table::{bytes, give, shared_of};
use crate::metric::{Declared, Kind};
use crate::status::HostError;

/// Reads an array that goes in.
///
/// # Safety
///
/// `first` is null or points to `count` entries that stay as they are during the call.
unsafe fn entries<'a, T>(first: *const T, count: usize) -> Result<&'a [T], HostError> {
    if count == 0 {
        return Ok(&[]);
    }
    if first.is_null() || count > MOST_ENTRIES {
        return Err(HostError::Invalid);
    }
    // SAFETY: not null, and the caller vouches for the rest.
    Ok(unsafe { std::slice::from_raw_parts(first, count) })
}

/// More than any array of a declaration may have.
const MOST_ENTRIES: usize = 1024;

#[allow(
    clippy::too_many_arguments,
    reason = "the contract gives them one by one"
)]
pub(super) unsafe extern "C" fn metric_declare(
    host: *const SgHost,
    kind: u32,
    name: SgStr,
    help: SgStr,
    labels: *const SgLabel,
    label_count: usize,
    bounds: *const f64,
    bound_count: usize,
    out: *mut MetricTok,
) -> i32 {
    // SAFETY: plugins pass the table they were given, which is never freed.
    let shared = unsafe { shared_of(host) };
    let declare = || {
        if shared.in_hook() {
            return Err(HostError::WrongPhase);
        }
        // SAFETY: what goes in is readable during the call.
        let lines = unsafe { entries(labels, label_count) }?;
        let mut labels = Vec::new();
        for SgLabel { name, value } in lines {
            // SAFETY: what goes in is readable during the call.
            let name = unsafe { bytes(*name) }?;
            // SAFETY: as above.
            labels.push((name, unsafe { bytes(*value) }?));
        }
        let declared = Declared {
            kind: Kind::from_number(kind).ok_or(HostError::Invalid)?,
            // SAFETY: what goes in is readable during the call.
            name: unsafe { bytes(name) }?,
            // SAFETY: as above.
            help: unsafe { bytes(help) }?,
            labels: &labels,
            // SAFETY: as above.
            bounds: unsafe { entries(bounds, bound_count) }?,
        };
        let token = shared.metrics.declare(declared.check()?)?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, token) }
    };
    declare().map_or_else(HostError::code, |()| code::SG_OK)
}

pub(super) unsafe extern "C" fn metric_add(
    host: *const SgHost,
    metric: MetricTok,
    value: f64,
) -> i32 {
    // SAFETY: plugins pass the table they were given, which is never freed.
    let added = unsafe { shared_of(host) }.metrics.add(metric, value);
    added.map_or_else(HostError::code, |()| code::SG_OK)
}

pub(super) unsafe extern "C" fn metric_set(
    host: *const SgHost,
    metric: MetricTok,
    value: f64,
) -> i32 {
    // SAFETY: plugins pass the table they were given, which is never freed.
    let set = unsafe { shared_of(host) }.metrics.set(metric, value);
    set.map_or_else(HostError::code, |()| code::SG_OK)
}

pub(super) unsafe extern "C" fn metric_observe(
    host: *const SgHost,
    metric: MetricTok,
    value: f64,
) -> i32 {
    // SAFETY: plugins pass the table they were given, which is never freed.
    let observed = unsafe { shared_of(host) }.metrics.observe(metric, value);
    observed.map_or_else(HostError::code, |()| code::SG_OK)
}
