//! See `swapgate_fuzz::certificate`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| swapgate_fuzz::certificate::certificate(data));
