//! The life of plugins in a running gateway: how they come, what keeps them out, what they do wrong, how they go.

mod care;
mod conformance;
mod faults;
mod folder;
mod frozen;
mod hostile;
mod hostile_code;
mod hostile_native;
mod soak;
mod start;
mod states;
mod swap;
mod variants;
mod world;
