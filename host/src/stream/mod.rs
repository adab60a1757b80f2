//! Bodies on their way through the plugins that take part in them.
//!
//! A body is an ordered stream of bytes; where its pieces end means nothing. This room decides which plugin sees which
//! bytes, and when, and what of them goes on. It opens no socket, reads no clock and calls no plugin: whoever drives a
//! [`Pipeline`] asks it what to do next, does that, and says what came of it. So a test drives it with closures.
//!
//! - [`window`]: the bytes that one plugin has and has not passed on;
//! - [`pipeline`]: the plugins of one lane, one after the other;
//! - [`step`]: what it and whoever drives it say to one another;
//! - [`reframe`]: what a change of the body means for the head before it.

pub mod pipeline;
pub mod reframe;
pub mod step;
#[cfg(test)]
mod tests;
pub mod window;

pub use pipeline::Pipeline;
pub use step::{Hook, Overflow, Part, Spec, Step, Verdict};
pub use window::{Misfit, Window};

use swapgate_abi as abi;

/// What a plugin needs of a body. Ordered: who needs more needs all of what stands before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Nothing: its hook is never called.
    #[default]
    None,
    /// To see every byte.
    Observe,
    /// To change what passes.
    Transform,
    /// To have all of it before any of it goes on.
    Buffer,
}

impl Need {
    /// The need with this number in the contract.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            abi::SG_BODY_NONE => Self::None,
            abi::SG_BODY_OBSERVE => Self::Observe,
            abi::SG_BODY_TRANSFORM => Self::Transform,
            abi::SG_BODY_BUFFER => Self::Buffer,
            _ => return None,
        })
    }

    /// Whether the bytes that leave may be others than those that came.
    #[must_use]
    pub fn changes(self) -> bool {
        self >= Self::Transform
    }
}
