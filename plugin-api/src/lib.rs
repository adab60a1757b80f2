//! Write Swapgate plugins in Rust.
