//! See `swapgate_fuzz::body`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| swapgate_fuzz::body::body(data));
