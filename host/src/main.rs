//! Swapgate.
fn main() {}
