//! The part of the host table that is about bodies: the window of the running hook.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::c_void;
use std::sync::Arc;

use bytes::Bytes;
use swapgate_abi::{ExchangeTok, ReleaseFn, SgHost, SgStr};

use super::inward::{input, output, with};
use super::request;
use crate::context::{Denied, Frame};

/// A piece of a window that a plugin may read until it expires.
#[cfg(not(debug_assertions))]
fn shown(_: &Frame<'_>, bytes: &[u8]) -> SgStr {
    SgStr::new(bytes)
}

/// A piece of a window that a plugin may read until it expires, and that is overwritten then.
#[cfg(debug_assertions)]
fn shown(frame: &Frame<'_>, bytes: &[u8]) -> SgStr {
    let lender = crate::context::lent::Lender::Body;
    frame.context.lent.lend(lender, bytes)
}

/// Says that the views of the window end here.
fn expire(frame: &Frame<'_>) {
    #[cfg(debug_assertions)]
    frame
        .context
        .lent
        .expire(crate::context::lent::Lender::Body);
    #[cfg(not(debug_assertions))]
    let _ = frame;
}

pub(super) unsafe extern "C" fn body_len(
    _: *const SgHost,
    exchange: ExchangeTok,
    out: *mut u64,
) -> i32 {
    with(exchange, |frame| output(out, frame.window()?.len()))
}

pub(super) unsafe extern "C" fn body_pieces(
    _: *const SgHost,
    exchange: ExchangeTok,
    out: *mut SgStr,
    cap: usize,
    count: *mut usize,
) -> i32 {
    with(exchange, |frame| {
        // Reference counts go up, so that the frame is free to note what is lent.
        let pieces = frame.window()?.pieces();
        let total = pieces.len();
        let seen: smallvec::SmallVec<[Bytes; 8]> = pieces.iter().take(cap).cloned().collect();
        for (index, piece) in seen.iter().enumerate() {
            output(out.wrapping_add(index), shown(frame, piece))?;
        }
        output(count, total)
    })
}

pub(super) unsafe extern "C" fn body_drain(
    _: *const SgHost,
    exchange: ExchangeTok,
    bytes: u64,
) -> i32 {
    with(exchange, |frame| {
        frame.change_body(|window| window.drain(bytes))?;
        expire(frame);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn body_replace(
    _: *const SgHost,
    exchange: ExchangeTok,
    bytes: SgStr,
) -> i32 {
    with(exchange, |frame| {
        let bytes = input(bytes)?;
        frame.change_body(|window| window.replace(bytes))?;
        expire(frame);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn body_append(
    _: *const SgHost,
    exchange: ExchangeTok,
    bytes: SgStr,
) -> i32 {
    with(exchange, |frame| {
        let bytes = input(bytes)?;
        frame.change_body(|window| window.append(bytes))?;
        expire(frame);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn body_append_own(
    _: *const SgHost,
    exchange: ExchangeTok,
    bytes: SgStr,
    release: Option<ReleaseFn>,
    context: *mut c_void,
) -> i32 {
    with(exchange, |frame| {
        let release = release.ok_or(Denied::Invalid)?;
        // What `input` checks holds for these bytes as well; they are read for longer, which `Foreign` accounts for.
        input(bytes)?;
        frame.append_own(bytes.len, |keeper| {
            Bytes::from_owner(Foreign {
                bytes,
                owed: Some(Release {
                    release,
                    context,
                    _keeper: keeper,
                }),
            })
        })?;
        expire(frame);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn body_hold(
    _: *const SgHost,
    exchange: ExchangeTok,
    bytes: u64,
) -> i32 {
    with(exchange, |frame| frame.hold_body(bytes))
}

pub(super) unsafe extern "C" fn body_ignore(
    _: *const SgHost,
    exchange: ExchangeTok,
    lane: u32,
) -> i32 {
    with(exchange, |frame| frame.ignore_body(lane))
}

/// Bytes that a plugin owns, until they are sent or thrown away.
struct Foreign {
    bytes: SgStr,
    /// Always there until the drop.
    owed: Option<Release>,
}

// SAFETY: the contract says of `body_append_own` that the bytes stay readable and unchanged until `release`, and that
// `release` is called on any thread; the gateway never reads behind `context`. Until the drop.
unsafe impl Send for Foreign {}
// SAFETY: as above; shared access only reads the bytes.
unsafe impl Sync for Foreign {}

impl AsRef<[u8]> for Foreign {
    fn as_ref(&self) -> &[u8] {
        if self.bytes.len == 0 {
            return &[];
        }
        // SAFETY: `input` found the pointer not null and the length possible before this was made; readable and unchanged
        // until `release` is the contract's rule for `body_append_own`, and the keeper keeps the image that long.
        unsafe { std::slice::from_raw_parts(self.bytes.ptr, self.bytes.len) }
    }
}

thread_local! {
    /// What was thrown away while a hook ran: host functions never call back, so it is released once the hook returned.
    static LATER: RefCell<Vec<Release>> = const { RefCell::new(Vec::new()) };
}

/// The one call that a foreign buffer is owed.
struct Release {
    release: ReleaseFn,
    context: *mut c_void,
    /// Keeps the image, and so bytes and function, for as long as this lives.
    _keeper: Arc<dyn Any + Send + Sync>,
}

impl Drop for Foreign {
    fn drop(&mut self) {
        match self.owed.take() {
            Some(owed) if request::is_running() => LATER.with_borrow_mut(|later| later.push(owed)),
            Some(owed) => owed.call(),
            None => {}
        }
    }
}

impl Release {
    fn call(self) {
        // SAFETY: function and context were handed over together in `body_append_own`; this is the one call they get,
        // because it uses up the one `Release` that was made of them; the keeper keeps the image meanwhile.
        unsafe { (self.release)(self.context) };
    }
}

/// Releases what was thrown away while a hook ran. The hook has returned.
pub(super) fn release_later() {
    if LATER.with_borrow(Vec::is_empty) {
        return;
    }
    for release in LATER.take() {
        release.call();
    }
}
