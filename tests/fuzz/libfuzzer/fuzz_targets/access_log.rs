//! See `swapgate_fuzz::access_log`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| swapgate_fuzz::access_log::access_log(data));
