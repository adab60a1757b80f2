//! Events as they cross the line.

use std::ptr;

use smallvec::SmallVec;
use swapgate_abi as abi;
use swapgate_abi::{OpTok, SgEvent, SgHeader, SgHttpAnswer, SgResolved, SgStr};

use super::view::size_u32;
use crate::ops::{Data, Done, HttpAnswer};

/// What happened.
#[derive(Debug)]
pub enum Happened {
    /// An operation came to its end.
    Done(OpTok, Done),
    /// Somebody used the wake token.
    Wake,
    /// Nobody waits for the result any more; `SG_E_CANCELLED` or `SG_E_TIMEOUT`.
    Cancel(i32),
    /// The gateway would like the exchange to end soon.
    Drain,
}

/// Where an event is told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    /// `SG_LANE_*`; 0 in the background.
    pub lane: u32,
    /// `SG_PHASE_*` of the hook that waits; 0 if none does.
    pub phase: u32,
    /// `SG_BODY_END` if that hook was called with it.
    pub flags: u32,
}

impl Happened {
    /// Shows the event as the contract lays it out, for the length of `told`.
    pub(super) fn tell<R>(&self, place: Place, told: impl FnOnce(&SgEvent) -> R) -> R {
        let event = |kind, op, result| SgEvent {
            struct_size: size_u32::<SgEvent>(),
            kind,
            lane: place.lane,
            phase: place.phase,
            op,
            result,
            flags: place.flags,
            data: ptr::null(),
        };
        match self {
            Self::Done(op, done) => {
                let event = event(abi::SG_EVENT_OP_DONE, *op, done.result);
                match &done.data {
                    Data::None | Data::Held(_) => told(&event),
                    Data::Http(answer) => http(event, answer, told),
                    Data::Resolved(addresses) => resolved(event, addresses, told),
                }
            }
            Self::Wake => told(&event(abi::SG_EVENT_WAKE, 0, abi::SG_OK)),
            Self::Cancel(result) => told(&event(abi::SG_EVENT_CANCEL, 0, *result)),
            Self::Drain => told(&event(abi::SG_EVENT_DRAIN, 0, abi::SG_OK)),
        }
    }
}

fn http<R>(event: SgEvent, answer: &HttpAnswer, told: impl FnOnce(&SgEvent) -> R) -> R {
    let headers: SmallVec<[SgHeader; 16]> = answer
        .headers
        .iter()
        .map(|(name, value)| SgHeader {
            name: SgStr::new(name.as_str().as_bytes()),
            value: SgStr::new(value.as_bytes()),
        })
        .collect();
    let data = SgHttpAnswer {
        struct_size: size_u32::<SgHttpAnswer>(),
        status: u32::from(answer.status.as_u16()),
        headers: abi::first(&headers),
        header_count: headers.len(),
        body: SgStr::new(&answer.body),
    };
    told(&SgEvent {
        data: (&raw const data).cast(),
        ..event
    })
}

fn resolved<R>(event: SgEvent, addresses: &[String], told: impl FnOnce(&SgEvent) -> R) -> R {
    let texts: SmallVec<[SgStr; 8]> = addresses
        .iter()
        .map(|address| SgStr::new(address.as_bytes()))
        .collect();
    let data = SgResolved {
        struct_size: size_u32::<SgResolved>(),
        reserved: 0,
        addresses: abi::first(&texts),
        count: texts.len(),
    };
    told(&SgEvent {
        data: (&raw const data).cast(),
        ..event
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_is_null() {
        let answer = HttpAnswer {
            status: http::StatusCode::OK,
            headers: http::HeaderMap::new(),
            body: hyper::body::Bytes::new(),
        };
        let done = Done {
            result: abi::SG_OK,
            data: Data::Http(answer),
        };
        Happened::Done(7, done).tell(Place::default(), |event| {
            // SAFETY: the event of an answer shows one, for as long as this runs.
            let shown = unsafe { &*event.data.cast::<SgHttpAnswer>() };
            assert!(shown.headers.is_null() && shown.body.ptr.is_null());
        });
        let done = Done {
            result: abi::SG_OK,
            data: Data::Resolved(Vec::new()),
        };
        Happened::Done(7, done).tell(Place::default(), |event| {
            // SAFETY: the event of a look-up shows its addresses, for as long as this runs.
            let shown = unsafe { &*event.data.cast::<SgResolved>() };
            assert!(shown.addresses.is_null() && shown.count == 0);
        });
    }
}
