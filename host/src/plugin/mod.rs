//! How a plugin file becomes a running plugin, and how it ends.
//!
//! ```text
//! settled -> staged -> inspected -> preflighted -> loaded -> configured -> active -> draining -> retired
//!                                                                                                  -> unloaded | resident
//! ```
//!
//! In reading order:
//!
//! - [`refusal`]: every reason for which a file is not taken, and its sentence;
//! - [`mod@scan`]: which files lie in the folder; [`crate::settle`] says whether they have come to rest;
//! - [`stage`]: the private copy, made on the thread of `files`;
//! - [`inspect`]: the file is read, no code runs; [`fit`] is a file that passed;
//! - [`preflight`]: a throw-away child goes through its life;
//! - [`library`], [`ffi`]: the copy is opened and called; [`mapped`] says whether it is still there. The unsafe rooms;
//! - [`foreign`]: the thread on which control calls plugins;
//! - [`image`], [`instance`]: what the hot path holds; [`account`] and [`usage`]: what an instance did, and what it uses
//!   just now; [`config_hash`]: what a configuration is called;
//! - [`catalog`]: what exists now.
//!
//! Nothing here knows routes, connections or exchanges, and nothing here decides which version of a plugin serves.

pub mod account;
pub mod bench;
pub mod catalog;
pub mod config_hash;
#[allow(unsafe_code, reason = "every call into foreign code and back")]
pub mod ffi;
mod files;
pub mod fit;
pub mod foreign;
pub mod image;
pub mod inspect;
pub mod instance;
#[allow(
    unsafe_code,
    reason = "maps libraries and takes their symbols at the contract's word"
)]
pub mod library;
#[allow(unsafe_code, reason = "walks the list of the system's loader")]
pub mod mapped;
pub mod preflight;
pub mod refusal;
pub mod scan;
pub mod stage;
#[cfg(test)]
pub(crate) mod testing;
pub mod usage;

pub use crate::fault::label::ImageIdentity;
pub use account::WorkerStats;
pub use catalog::Catalog;
pub use config_hash::ConfigHash;
pub use image::{Digest, Door, Image};
pub use instance::Instance;
pub use refusal::{Reason, Refusal, Step};
