//! HTTP/2 by hand: every frame is written byte by byte, so that a test can send what no library would.
//!
//! In reading order:
//! - [`frame`]: one frame, valid or broken, and the numbers of RFC 9113
//! - [`pack`]: header blocks as a test wants them; [`unpack`]: those of the gateway, strictly; [`huffman`]: their strings
//! - [`connection`]: one connection with prior knowledge; [`seen`]: what the gateway said on it so far

pub mod connection;
pub mod frame;
pub mod huffman;
pub mod pack;
pub mod seen;
pub mod unpack;

pub use connection::{Connection, PREFACE};
pub use frame::Frame;
pub use seen::{Answer, Seen};
