//! The metrics of the host table. Counting takes no lock and looks up no name: a token leads to a place in a table of the
//! image that calls.

use smallvec::SmallVec;
use swapgate_abi as abi;
use swapgate_abi::{MetricTok, SgHost, SgLabel, SgStr};
use swapgate_plugin::HostError;
use swapgate_plugin::metric::{BOUNDS, Declared, Kind, LABELS};

use super::host::Caller;
use super::inward::{barrier, caller};
use super::{request, view};

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
    with(host, |caller| {
        if request::is_running() {
            return Err(HostError::WrongPhase);
        }
        if label_count > LABELS || bound_count > BOUNDS {
            return Err(HostError::TooLarge);
        }
        // SAFETY: readable until this function returns: the contract's rule for arguments.
        let lines = unsafe { view::array(labels, label_count) }.ok_or(HostError::Invalid)?;
        let mut pairs: SmallVec<[(&[u8], &[u8]); LABELS]> = SmallVec::new();
        for line in lines {
            pairs.push((input(line.name)?, input(line.value)?));
        }
        let declared = Declared {
            kind: Kind::from_number(kind).ok_or(HostError::Invalid)?,
            name: input(name)?,
            help: input(help)?,
            labels: &pairs,
            // SAFETY: as above.
            bounds: unsafe { view::array(bounds, bound_count) }.ok_or(HostError::Invalid)?,
        };
        let declared = declared.check()?;
        // SAFETY: null or room for a token is the contract's rule for results; looked at before anything is declared.
        if !unsafe { view::put(out, 0) } {
            return Err(HostError::Invalid);
        }
        let token = caller.metrics.declare(declared)?;
        // SAFETY: as above.
        unsafe { view::put(out, token) };
        Ok(())
    })
}

pub(super) unsafe extern "C" fn metric_add(
    host: *const SgHost,
    metric: MetricTok,
    value: f64,
) -> i32 {
    with(host, |caller| caller.metrics.find(metric)?.add(value))
}

pub(super) unsafe extern "C" fn metric_set(
    host: *const SgHost,
    metric: MetricTok,
    value: f64,
) -> i32 {
    with(host, |caller| caller.metrics.find(metric)?.set(value))
}

pub(super) unsafe extern "C" fn metric_observe(
    host: *const SgHost,
    metric: MetricTok,
    value: f64,
) -> i32 {
    with(host, |caller| caller.metrics.find(metric)?.observe(value))
}

/// Runs one function for whoever calls.
fn with(host: *const SgHost, work: impl FnOnce(&Caller) -> Result<(), HostError>) -> i32 {
    barrier(|| {
        // SAFETY: a plugin passes the pointer it was given at its entry, valid until its `unload` returns.
        let done = match unsafe { caller(host) } {
            Some(caller) => work(caller),
            None => Err(HostError::Invalid),
        };
        done.map_or_else(HostError::code, |()| abi::SG_OK)
    })
}

/// An argument.
fn input<'a>(text: SgStr) -> Result<&'a [u8], HostError> {
    // SAFETY: readable and unchanged until the host function returns is the contract's rule for texts that go in; every
    // slice made here is used within that function.
    unsafe { view::bytes(text) }.ok_or(HostError::Invalid)
}
