//! `sg.resolve/1`: the addresses of names.

use swapgate_abi::{OpTok, ScopeTok, SgHost, SgStr};

use super::inward::input;
use super::waiting::begin;
use crate::context::Denied;
use crate::ops::blocking::Full;
use crate::ops::resolve::is_name;

pub(super) unsafe extern "C" fn start(
    host: *const SgHost,
    scope: ScopeTok,
    name: SgStr,
    out: *mut OpTok,
) -> i32 {
    begin(host, scope, out, |caller| {
        let name = std::str::from_utf8(input(name)?).map_err(|_| Denied::Invalid)?;
        if !is_name(name) {
            return Err(Denied::Invalid);
        }
        let started = caller.services.resolver.start(name);
        started.map_err(|Full| Denied::Unavailable)
    })
}
