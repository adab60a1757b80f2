//! See `swapgate_fuzz::h2_frames`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| swapgate_fuzz::h2_frames::h2_frames(data));
