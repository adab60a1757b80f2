//! The line between gateway and plugin, seen from Rust.
//!
//! `sdk-c/include/swapgate.h` is the reference: it says when each function is called, on which thread, who owns what
//! and what every result means. This crate mirrors it and adds nothing:
//!
//! - [`table`]: the tables of both sides and the door;
//! - [`event`]: what hooks wait for, and the larger areas of the gateway;
//! - [`code`]: the numbers that cross the line;
//! - [`root`]: the frozen `abi_stable` root module, the second door of plugins written in Rust.
//!
//! What is absent here is the point: no logic, no allocation, no type that owns memory. The end-to-end test
//! `abi_layout` compares sizes and offsets with what a C compiler makes of the header.
#![no_std]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::get_unwrap,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::unreachable,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::unchecked_time_subtraction
)]

pub mod code;
pub mod event;
pub mod root;
pub mod table;

pub use code::*;
pub use event::*;
pub use root::{DOOR_REV, PluginRoot, PluginRootRef};
pub use table::*;

/// Major version of the contract; gateway and plugin must agree.
pub const ABI_MAJOR: u32 = 0;
/// Minor version of the contract; until 1.0 gateway and plugin must agree.
pub const ABI_MINOR: u32 = 4;

/// First bytes of every descriptor.
pub const MAGIC: [u8; 8] = *b"SWAPGATE";
/// Name of the descriptor symbol, as it stands in the file.
pub const DESCRIPTOR_SYMBOL: &str = "sg_plugin_abi";
/// Name of the entry function, as it stands in the file.
pub const ENTRY_SYMBOL: &str = "sg_plugin_entry";
