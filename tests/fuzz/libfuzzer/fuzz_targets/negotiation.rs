//! See `swapgate_fuzz::negotiation`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| swapgate_fuzz::negotiation::negotiation(data));
