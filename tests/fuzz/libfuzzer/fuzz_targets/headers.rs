//! See `swapgate_fuzz::headers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| swapgate_fuzz::headers::headers(data));
