//! The functions of the host table that are about headers and trailers.

use swapgate_abi as abi;
use swapgate_abi::{ExchangeTok, SgHeader, SgHost, SgStr};

use super::inward::{input, output, with};
use super::lend::{expire, shown};
use crate::context::Denied;
use crate::context::headers::{append, changeable, set, value as header_value};

pub(super) unsafe extern "C" fn header_get(
    _: *const SgHost,
    exchange: ExchangeTok,
    map: u32,
    name: SgStr,
    out: *mut SgStr,
) -> i32 {
    with(exchange, |frame| {
        let name = header_name(input(name)?)?;
        let found = frame.headers(map)?.get(name).ok_or(Denied::NotFound)?;
        output(out, shown(frame, map, found.as_bytes()))
    })
}

pub(super) unsafe extern "C" fn header_nth(
    _: *const SgHost,
    exchange: ExchangeTok,
    map: u32,
    name: SgStr,
    index: usize,
    out: *mut SgStr,
) -> i32 {
    with(exchange, |frame| {
        let name = header_name(input(name)?)?;
        let found = frame
            .headers(map)?
            .get_all(name)
            .iter()
            .nth(index)
            .ok_or(Denied::NotFound)?;
        output(out, shown(frame, map, found.as_bytes()))
    })
}

/// A name that is looked up; `http` compares without regard to case.
fn header_name(name: &[u8]) -> Result<&str, Denied> {
    std::str::from_utf8(name).map_err(|_| Denied::Invalid)
}

pub(super) unsafe extern "C" fn headers_list(
    _: *const SgHost,
    exchange: ExchangeTok,
    map: u32,
    out: *mut SgHeader,
    cap: usize,
    count: *mut usize,
) -> i32 {
    with(exchange, |frame| {
        let headers = frame.headers(map)?;
        for (index, (name, value)) in headers.iter().take(cap).enumerate() {
            let line = SgHeader {
                name: shown(frame, map, name.as_str().as_bytes()),
                value: shown(frame, map, value.as_bytes()),
            };
            output(out.wrapping_add(index), line)?;
        }
        output(count, headers.len())
    })
}

pub(super) unsafe extern "C" fn header_set(
    _: *const SgHost,
    exchange: ExchangeTok,
    map: u32,
    name: SgStr,
    value: SgStr,
) -> i32 {
    with(exchange, |frame| {
        let name = changeable(input(name)?, map == abi::SG_HEADERS_REQUEST)?;
        let value = header_value(input(value)?)?;
        set(frame.headers_mut(map)?, name, value)?;
        expire(frame, map);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn header_append(
    _: *const SgHost,
    exchange: ExchangeTok,
    map: u32,
    name: SgStr,
    value: SgStr,
) -> i32 {
    with(exchange, |frame| {
        let name = changeable(input(name)?, map == abi::SG_HEADERS_REQUEST)?;
        let value = header_value(input(value)?)?;
        append(frame.headers_mut(map)?, name, value)?;
        expire(frame, map);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn header_remove(
    _: *const SgHost,
    exchange: ExchangeTok,
    map: u32,
    name: SgStr,
) -> i32 {
    with(exchange, |frame| {
        let name = changeable(input(name)?, map == abi::SG_HEADERS_REQUEST)?;
        frame.headers_mut(map)?.remove(name);
        expire(frame, map);
        Ok(())
    })
}
