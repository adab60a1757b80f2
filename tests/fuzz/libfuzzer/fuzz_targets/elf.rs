//! See `swapgate_fuzz::inspect`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| swapgate_fuzz::inspect::elf(data));
