//! What the gateway counts, and what it shows of it.
//!
//! - [`cell`]: numbers that workers write without getting in one another's way;
//! - [`book`], [`series`]: the metrics that plugins declare through the contract.

pub mod book;
pub mod cell;
pub mod series;
