//! What a pipeline and whoever drives it say to one another.

use bytes::Bytes;
use http::HeaderMap;
use swapgate_abi as abi;

use super::{Need, Window};

/// One plugin that takes part.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// How whoever drives the pipeline knows it.
    pub at: usize,
    /// What it needs.
    pub need: Need,
    /// Whether it has a hook for bytes.
    pub body: bool,
    /// Whether it has a hook for trailers.
    pub trailers: bool,
    /// How many bytes it may keep between two calls.
    pub keep: u64,
    /// How many bytes its window may have after it added some.
    pub room: u64,
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Send these on.
    Pass(Bytes),
    /// Call this hook of this plugin with what [`Pipeline::part`](super::Pipeline::part) gives, and [`settle`](super::Pipeline::settle) it.
    Call(usize, Hook),
    /// A hook waits; resume it and [`settle`](super::Pipeline::settle) it.
    Parked,
    /// Feed more.
    More,
    /// Everything has passed.
    Over,
}

/// Which hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// The one for bytes, with these flags (`SG_BODY_*`).
    Body(u32),
    /// The one for trailers.
    Trailers,
}

impl Hook {
    /// The flags it is called with.
    #[must_use]
    pub const fn flags(self) -> u32 {
        match self {
            Self::Body(flags) => flags,
            Self::Trailers => 0,
        }
    }

    /// Whether this is the last of the body.
    #[must_use]
    pub const fn is_end(self) -> bool {
        self.flags() & abi::SG_BODY_END != 0
    }
}

/// What a running hook may look at and change.
#[derive(Debug)]
pub enum Part<'a> {
    /// A window.
    Window {
        /// The bytes.
        window: &'a mut Window,
        /// What the plugin declared.
        need: Need,
        /// Whether there will be no more.
        end: bool,
    },
    /// The fields after the body.
    Trailers {
        /// The fields.
        trailers: &'a mut HeaderMap,
        /// What the plugin declared.
        need: Need,
    },
}

/// What a hook came to, as far as the body is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its window goes on, but for what it holds.
    Continue,
    /// It wants more before anything goes on.
    Buffer,
    /// It waits.
    Pending,
    /// It failed and takes part no more; its window goes on as it was.
    Out,
}

/// A plugin keeps more than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflow {
    /// Which one; see [`Spec::at`].
    pub at: usize,
    /// How many bytes it may keep.
    pub limit: u64,
}
