//! The part of the host table that is about waiting: operations, wake tokens, ticks, and the choice of the upstream.
//!
//! Every function that begins an operation goes through [`begin`], whatever the scope: the token of an exchange is
//! answered on the thread of its running hook only, that of an instance on any thread.

use std::time::Duration;

use swapgate_abi as abi;
use swapgate_abi::{ExchangeTok, InstanceTok, OpTok, ScopeTok, SgHost, SgStr, WakeTok};

use super::host::Caller;
use super::inward::{barrier, for_caller, input, output, with};
use super::request;
use crate::context::{Denied, Frame};
use crate::ops::{Begin, Done, background};
use crate::wake as inbox;

/// Below it stand the tokens of instances, from it on those of exchanges.
const FIRST_EXCHANGE: u64 = 1 << 48;

/// Begins an operation of an exchange or of an instance and writes its token to `out`. `make` is called only if there is
/// room and `out` can be written, so what it makes will run, or will be dropped later, never inside a hook.
pub(super) fn begin(
    host: *const SgHost,
    scope: ScopeTok,
    out: *mut OpTok,
    make: impl FnOnce(&Caller) -> Result<Begin, Denied>,
) -> i32 {
    for_caller(host, |caller| {
        output(out, 0)?;
        let make = || make(caller);
        let token = if scope < FIRST_EXCHANGE {
            background::begin(scope, make)?
        } else {
            running(scope)?.begin(make)?
        };
        output(out, token)
    })
}

/// The frame of the exchange that a token names.
fn running<'a>(scope: ScopeTok) -> Result<&'a mut Frame<'a>, Denied> {
    let frame = request::running().ok_or(Denied::WrongThread)?;
    if frame.context.token == scope {
        Ok(frame)
    } else {
        Err(Denied::Stale)
    }
}

fn answer(work: impl FnOnce() -> Result<(), Denied>) -> i32 {
    barrier(|| work().map_or_else(Denied::code, |()| abi::SG_OK))
}

pub(super) unsafe extern "C" fn sleep(
    host: *const SgHost,
    scope: ScopeTok,
    nanoseconds: u64,
    out: *mut OpTok,
) -> i32 {
    begin(host, scope, out, |_| {
        let time = Duration::from_nanos(nanoseconds);
        Ok(Box::new(move || {
            Box::pin(async move {
                tokio::time::sleep(time).await;
                Done::with(abi::SG_OK)
            })
        }))
    })
}

pub(super) unsafe extern "C" fn op_cancel(_: *const SgHost, scope: ScopeTok, op: OpTok) -> i32 {
    answer(|| {
        if scope < FIRST_EXCHANGE {
            return background::cancel(scope, op);
        }
        running(scope)?.cancel(op)
    })
}

pub(super) unsafe extern "C" fn waker(_: *const SgHost, scope: ScopeTok, out: *mut WakeTok) -> i32 {
    answer(|| {
        let token = if scope < FIRST_EXCHANGE {
            background::waker(scope)?
        } else {
            running(scope)?.waker()?
        };
        output(out, token)
    })
}

/// The host table is not looked at: a thread of the plugin may be late, and the image unloaded already.
pub(super) unsafe extern "C" fn wake(_: *const SgHost, token: WakeTok) -> i32 {
    answer(|| {
        if token < FIRST_EXCHANGE {
            return background::wake(token);
        }
        inbox::wake(token).map_err(|_| Denied::Stale)
    })
}

pub(super) unsafe extern "C" fn tick_every(
    host: *const SgHost,
    instance: InstanceTok,
    milliseconds: u64,
) -> i32 {
    for_caller(host, |_| background::tick_every(instance, milliseconds))
}

pub(super) unsafe extern "C" fn upstream_set(
    _: *const SgHost,
    exchange: ExchangeTok,
    kind: u32,
    value: SgStr,
) -> i32 {
    with(exchange, |frame| frame.choose_upstream(kind, input(value)?))
}
