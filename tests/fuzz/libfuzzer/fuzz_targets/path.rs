//! See `swapgate_fuzz::path`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| swapgate_fuzz::path::path(data));
