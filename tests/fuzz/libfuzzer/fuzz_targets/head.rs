//! See `swapgate_fuzz::head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| swapgate_fuzz::head::head(data));
