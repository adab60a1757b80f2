//! See `swapgate_fuzz::quarantine`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| swapgate_fuzz::quarantine::quarantine(data));
