//! Which target is next. The state of each way to choose belongs to one worker, so nothing is locked.

pub mod round_robin;
pub mod seat;
pub mod wish;

pub use round_robin::RoundRobin;
pub use seat::{Seat, Seated};
pub use wish::{Tried, Wish};
