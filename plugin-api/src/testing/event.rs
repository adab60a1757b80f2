//! Events, as the gateway hands them over.

use std::ffi::c_void;
use std::ptr;

use swapgate_abi::{SgEvent, SgHeader, SgHttpAnswer, SgResolved, SgStr, code};

use super::world::Data;
use crate::guest::export::size_of_u32;
use crate::guest::hooks::Lane;

/// An event of this kind and nothing else.
pub(super) fn event(kind: u32) -> SgEvent {
    SgEvent {
        struct_size: size_of_u32::<SgEvent>(),
        kind,
        lane: 0,
        phase: 0,
        op: 0,
        result: code::SG_OK,
        flags: 0,
        data: ptr::null(),
    }
}

pub(super) fn number_of(lane: Lane) -> u32 {
    match lane {
        Lane::Request => code::SG_LANE_REQUEST,
        Lane::Response => code::SG_LANE_RESPONSE,
    }
}

/// Makes the structure of what an event brings, for as long as it is looked at.
pub(super) fn with_data(data: &Data, run: impl FnOnce(*const c_void)) {
    match data {
        Data::Nothing => run(ptr::null()),
        Data::Answer(answer) => {
            let lines = answer.headers.iter();
            let headers: Vec<_> = lines
                .map(|(name, value)| SgHeader {
                    name: SgStr::new(name.as_bytes()),
                    value: SgStr::new(value),
                })
                .collect();
            let answer = SgHttpAnswer {
                struct_size: size_of_u32::<SgHttpAnswer>(),
                status: u32::from(answer.status),
                headers: swapgate_abi::first(&headers),
                header_count: headers.len(),
                body: SgStr::new(&answer.body),
            };
            run((&raw const answer).cast());
        }
        Data::Addresses(texts) => {
            let texts = texts.iter().map(|text| SgStr::new(text.as_bytes()));
            let addresses: Vec<_> = texts.collect();
            let resolved = SgResolved {
                struct_size: size_of_u32::<SgResolved>(),
                reserved: 0,
                addresses: swapgate_abi::first(&addresses),
                count: addresses.len(),
            };
            run((&raw const resolved).cast());
        }
    }
}
