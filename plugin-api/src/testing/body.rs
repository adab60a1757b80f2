//! The functions of the table that are about bodies.

use std::ffi::c_void;

use swapgate_abi::{ExchangeTok, ReleaseFn, SgHost, SgStr, code};

use super::exchange::Phase;
use super::shared::Slot;
use super::table::{bytes, give, with};
use super::window::Window;
use crate::guest::hooks::Lane;
use crate::status::HostError;
use crate::view;

/// The window of the running hook.
fn window(slot: &mut Slot) -> Result<&mut Window, HostError> {
    let call = slot.call.ok_or(HostError::WrongPhase)?;
    if !matches!(call.phase, Phase::RequestBody | Phase::BodyFilter) {
        return Err(HostError::WrongPhase);
    }
    Ok(&mut slot.course.way(call.lane).window)
}

/// The same, to change it.
fn to_change(slot: &mut Slot) -> Result<&mut Window, HostError> {
    let call = slot.call.ok_or(HostError::WrongPhase)?;
    if slot.course.only_observes(call.lane) {
        window(slot)?;
        return Err(HostError::Forbidden);
    }
    window(slot)
}

pub(super) unsafe extern "C" fn body_len(
    host: *const SgHost,
    exchange: ExchangeTok,
    out: *mut u64,
) -> i32 {
    let run = |slot: &mut Slot| {
        let len = window(slot)?.len() as u64;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, len) }
    };
    // SAFETY: plugins pass the table they were given, which outlives them.
    unsafe { with(host, exchange, run) }
}

pub(super) unsafe extern "C" fn body_pieces(
    host: *const SgHost,
    exchange: ExchangeTok,
    out: *mut SgStr,
    cap: usize,
    count: *mut usize,
) -> i32 {
    let run = |slot: &mut Slot| {
        let window = window(slot)?;
        if out.is_null() && cap > 0 {
            return Err(HostError::Invalid);
        }
        let pieces = window.pieces();
        let all = pieces.len();
        for (index, piece) in pieces.take(cap).enumerate() {
            // SAFETY: plugins pass room for `cap` entries, and `index` is below that.
            let entry = unsafe { out.add(index) };
            // SAFETY: as above.
            unsafe { give(entry, SgStr::new(piece)) }?;
        }
        // SAFETY: plugins pass room for the answer.
        unsafe { give(count, all) }
    };
    // SAFETY: plugins pass the table they were given, which outlives them.
    unsafe { with(host, exchange, run) }
}

pub(super) unsafe extern "C" fn body_drain(
    host: *const SgHost,
    exchange: ExchangeTok,
    count: u64,
) -> i32 {
    let run = |slot: &mut Slot| {
        let count = usize::try_from(count).map_err(|_| HostError::Invalid)?;
        to_change(slot)?.drain(count)
    };
    // SAFETY: plugins pass the table they were given, which outlives them.
    unsafe { with(host, exchange, run) }
}

pub(super) unsafe extern "C" fn body_replace(
    host: *const SgHost,
    exchange: ExchangeTok,
    with_: SgStr,
) -> i32 {
    let run = |slot: &mut Slot| {
        // SAFETY: what goes in is readable during the call; replace() copies before it changes anything.
        let with_ = unsafe { bytes(with_) }?;
        to_change(slot)?.replace(with_)
    };
    // SAFETY: plugins pass the table they were given, which outlives them.
    unsafe { with(host, exchange, run) }
}

pub(super) unsafe extern "C" fn body_append(
    host: *const SgHost,
    exchange: ExchangeTok,
    more: SgStr,
) -> i32 {
    let run = |slot: &mut Slot| {
        // SAFETY: what goes in is readable during the call; copied.
        let more = unsafe { bytes(more) }?.to_vec();
        to_change(slot)?.append(Box::new(more))
    };
    // SAFETY: plugins pass the table they were given, which outlives them.
    unsafe { with(host, exchange, run) }
}

/// Bytes that stay the plugin's until they are released.
struct Foreign {
    bytes: SgStr,
    release: Option<ReleaseFn>,
    context: *mut c_void,
}

impl AsRef<[u8]> for Foreign {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the plugin keeps them as they are until release() is called, which self does in its drop.
        unsafe { view::bytes(self.bytes) }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: the plugin left the two together; a value is dropped once.
            unsafe { release(self.context) };
        }
    }
}

pub(super) unsafe extern "C" fn body_append_own(
    host: *const SgHost,
    exchange: ExchangeTok,
    more: SgStr,
    release: Option<ReleaseFn>,
    context: *mut c_void,
) -> i32 {
    let run = |slot: &mut Slot| {
        // SAFETY: readable until it is released.
        let room = unsafe { bytes(more) }?.len();
        let window = to_change(slot)?;
        // Before it is taken: where it is not, nothing is released here.
        window.check_room(room)?;
        window.append(Box::new(Foreign {
            bytes: more,
            release,
            context,
        }))
    };
    // SAFETY: plugins pass the table they were given, which outlives them.
    unsafe { with(host, exchange, run) }
}

pub(super) unsafe extern "C" fn body_hold(
    host: *const SgHost,
    exchange: ExchangeTok,
    count: u64,
) -> i32 {
    let run = |slot: &mut Slot| {
        let count = usize::try_from(count).map_err(|_| HostError::Invalid)?;
        let call = slot.call.ok_or(HostError::WrongPhase)?;
        let window = window(slot)?;
        if call.flags & code::SG_BODY_END != 0 {
            return Err(HostError::Invalid);
        }
        window.hold(count)
    };
    // SAFETY: plugins pass the table they were given, which outlives them.
    unsafe { with(host, exchange, run) }
}

pub(super) unsafe extern "C" fn body_ignore(
    host: *const SgHost,
    exchange: ExchangeTok,
    lane: u32,
) -> i32 {
    let run = |slot: &mut Slot| {
        let phase = slot.call.ok_or(HostError::WrongPhase)?.phase;
        let (lane, until) = match lane {
            code::SG_LANE_REQUEST => (Lane::Request, Phase::Access),
            code::SG_LANE_RESPONSE => (Lane::Response, Phase::HeaderFilter),
            _ => return Err(HostError::Invalid),
        };
        if phase > until || phase == Phase::Rewrite {
            return Err(HostError::WrongPhase);
        }
        slot.course.way(lane).ignored = true;
        Ok(())
    };
    // SAFETY: plugins pass the table they were given, which outlives them.
    unsafe { with(host, exchange, run) }
}
