//! Which target is next. The state of each way to choose belongs to one worker, so nothing is locked, and nothing is
//! allocated for a choice.
//!
//! - [`facts`]: what a choice goes by, and [`Field`], the targets it is made among; [`view`] reads it off a group;
//! - [`level`]: tiers and panic, the order in which fields are tried;
//! - [`way`]: the algorithm of a group, one of [`round_robin`], [`least_requests`], [`p2c`], [`ring`] and [`lots`];
//! - [`slow_start`]: the share of a target that came a short while ago;
//! - [`sticky`]: the cookie that keeps a client at its target;
//! - [`seat`]: what a worker knows of a target, [`ewma`] the time it takes; [`wish`]: what a request asks for.
//!
//! There is no socket here, and time comes in as an argument.

pub mod ewma;
pub mod facts;
pub mod least_requests;
pub mod level;
pub mod lots;
pub mod p2c;
pub mod ring;
pub mod round_robin;
pub mod seat;
pub mod slow_start;
pub mod sticky;
#[cfg(test)]
mod tests;
pub mod view;
pub mod way;
pub mod wish;

pub use facts::{Facts, Field};
pub use level::Level;
pub use ring::Ring;
pub use seat::{Seat, Seated};
pub use view::View;
pub use way::Way;
pub use wish::{Tried, Wish};
