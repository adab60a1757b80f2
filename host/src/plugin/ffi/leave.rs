//! The functions of the host table with which a plugin leaves something in an exchange: an answer, a variable, its state,
//! the consumer, the reason of a failure.

use std::ffi::c_void;

use swapgate_abi::{ExchangeTok, ReleaseFn, SgHeader, SgHost, SgStr};

use super::inward::{input, output, with};
use super::lend::{NO_MAP, shown};
use super::view;
use crate::context::{Denied, State};

pub(super) unsafe extern "C" fn respond(
    _: *const SgHost,
    exchange: ExchangeTok,
    status: u32,
    headers: *const SgHeader,
    header_count: usize,
    body: SgStr,
) -> i32 {
    with(exchange, |frame| {
        // SAFETY: readable until this function returns: the contract's rule for arguments.
        let lines = unsafe { view::lines(headers, header_count) }.ok_or(Denied::Invalid)?;
        let mut pairs: smallvec::SmallVec<[(&[u8], &[u8]); 8]> = smallvec::SmallVec::new();
        for line in lines {
            pairs.push((input(line.name)?, input(line.value)?));
        }
        frame.respond(status, pairs.into_iter(), input(body)?)
    })
}

pub(super) unsafe extern "C" fn var_get(
    _: *const SgHost,
    exchange: ExchangeTok,
    name: SgStr,
    out: *mut SgStr,
) -> i32 {
    with(exchange, |frame| {
        let found = frame
            .context
            .vars
            .get(input(name)?)
            .ok_or(Denied::NotFound)?;
        output(out, shown(frame, NO_MAP, found))
    })
}

pub(super) unsafe extern "C" fn var_set(
    _: *const SgHost,
    exchange: ExchangeTok,
    name: SgStr,
    value: SgStr,
) -> i32 {
    with(exchange, |frame| {
        frame.context.vars.set(input(name)?, input(value)?)
    })
}

pub(super) unsafe extern "C" fn state_get(
    _: *const SgHost,
    exchange: ExchangeTok,
    out: *mut *mut c_void,
) -> i32 {
    with(exchange, |frame| {
        output(
            out,
            frame
                .state()
                .map_or(std::ptr::null_mut(), |state| state.pointer),
        )
    })
}

pub(super) unsafe extern "C" fn state_set(
    _: *const SgHost,
    exchange: ExchangeTok,
    state: *mut c_void,
    release: Option<ReleaseFn>,
) -> i32 {
    with(exchange, |frame| {
        let owner = frame.owner;
        frame.set_state(State {
            owner,
            pointer: state,
            release,
        });
        Ok(())
    })
}

pub(super) unsafe extern "C" fn consumer_get(
    _: *const SgHost,
    exchange: ExchangeTok,
    out: *mut SgStr,
) -> i32 {
    with(exchange, |frame| {
        let consumer = frame.context.consumer.as_deref().ok_or(Denied::NotFound)?;
        output(out, shown(frame, NO_MAP, consumer.as_bytes()))
    })
}

pub(super) unsafe extern "C" fn consumer_set(
    _: *const SgHost,
    exchange: ExchangeTok,
    consumer: SgStr,
) -> i32 {
    with(exchange, |frame| frame.set_consumer(input(consumer)?))
}

pub(super) unsafe extern "C" fn set_error(
    _: *const SgHost,
    exchange: ExchangeTok,
    text: SgStr,
) -> i32 {
    with(exchange, |frame| {
        frame.set_error(input(text)?);
        Ok(())
    })
}
