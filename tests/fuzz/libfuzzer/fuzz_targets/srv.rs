//! See `swapgate_fuzz::srv`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| swapgate_fuzz::srv::srv(data));
