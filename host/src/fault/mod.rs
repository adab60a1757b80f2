//! Plugins that go wrong while they serve: who they are, what they did, and what follows.
//!
//! - [`label`]: every plugin file this process has met, by a number that fits into a mark;
//! - [`images`]: which addresses belong to which of them, for the handler of a crash;
//! - [`breaker`]: the count of faults of a version, and whether it is called at all;
//! - [`watchdog`]: sees hooks that do not return;
//! - [`report`]: what the handler of a crash wrote down, read again;
//! - [`quarantine`]: files that are not taken any more, remembered across restarts.
//! - [`tell`]: what is said of a breaker.
//!
//! Nothing here is on the way of an exchange that goes well but one relaxed read for each hook.

pub mod breaker;
pub mod images;
pub mod label;
pub mod quarantine;
pub mod report;
pub mod tell;
pub mod watchdog;
