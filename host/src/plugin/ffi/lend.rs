//! Views of what an exchange holds, lent to a plugin until they expire.

use swapgate_abi::SgStr;
#[cfg(debug_assertions)]
use {crate::context::lent::Lender, swapgate_abi as abi};

use crate::context::Frame;

/// A view that a plugin may read until it expires.
#[cfg(not(debug_assertions))]
pub(super) fn shown(_: &Frame<'_>, _: u32, bytes: &[u8]) -> SgStr {
    SgStr::new(bytes)
}

/// A view that a plugin may read until it expires, and that is overwritten then.
#[cfg(debug_assertions)]
pub(super) fn shown(frame: &Frame<'_>, map: u32, bytes: &[u8]) -> SgStr {
    frame.context.lent.lend(lender(map), bytes)
}

#[cfg(debug_assertions)]
fn lender(map: u32) -> Lender {
    match map {
        abi::SG_HEADERS_REQUEST => Lender::Request,
        abi::SG_HEADERS_RESPONSE => Lender::Response,
        abi::SG_TRAILERS_REQUEST | abi::SG_TRAILERS_RESPONSE => Lender::Trailers,
        _ => Lender::Hook,
    }
}

/// Says that the views of a map end here.
pub(super) fn expire(frame: &Frame<'_>, map: u32) {
    #[cfg(debug_assertions)]
    frame.context.lent.expire(lender(map));
    #[cfg(not(debug_assertions))]
    let _ = (frame, map);
}

/// The map argument of a view that is not of a header.
pub(super) const NO_MAP: u32 = 0;
