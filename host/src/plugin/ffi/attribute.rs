//! The functions of the host table that are about attributes and about parameters of the matched pattern.

use swapgate_abi::{ExchangeTok, SgHost, SgStr};

use super::inward::{input, output, with};
use super::lend::{NO_MAP, shown};
use crate::context::{Attribute, Denied, Number};

pub(super) unsafe extern "C" fn attr_text(
    _: *const SgHost,
    exchange: ExchangeTok,
    attr: u32,
    out: *mut SgStr,
) -> i32 {
    with(exchange, |frame| {
        let attribute = Attribute::from_number(attr).ok_or(Denied::Invalid)?;
        output(out, shown(frame, NO_MAP, frame.text(attribute)?))
    })
}

pub(super) unsafe extern "C" fn attr_number(
    _: *const SgHost,
    exchange: ExchangeTok,
    attr: u32,
    out: *mut u64,
) -> i32 {
    with(exchange, |frame| {
        let number = Number::from_number(attr).ok_or(Denied::Invalid)?;
        output(out, frame.number(number)?)
    })
}

pub(super) unsafe extern "C" fn attr_set(
    _: *const SgHost,
    exchange: ExchangeTok,
    attr: u32,
    value: SgStr,
) -> i32 {
    with(exchange, |frame| {
        let attribute = Attribute::from_number(attr).ok_or(Denied::Invalid)?;
        frame.set_text(attribute, input(value)?)
    })
}

pub(super) unsafe extern "C" fn param_get(
    _: *const SgHost,
    exchange: ExchangeTok,
    name: SgStr,
    out: *mut SgStr,
) -> i32 {
    with(exchange, |frame| {
        let name = std::str::from_utf8(input(name)?).map_err(|_| Denied::NotFound)?;
        output(out, shown(frame, NO_MAP, frame.param(name)?.as_bytes()))
    })
}

pub(super) unsafe extern "C" fn param_nth(
    _: *const SgHost,
    exchange: ExchangeTok,
    index: usize,
    name: *mut SgStr,
    value: *mut SgStr,
) -> i32 {
    with(exchange, |frame| {
        let (key, text) = frame.param_at(index)?;
        output(name, shown(frame, NO_MAP, key.as_bytes()))?;
        output(value, shown(frame, NO_MAP, text.as_bytes()))
    })
}
