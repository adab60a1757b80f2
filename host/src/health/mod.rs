//! Whether targets can be used. Control finds out by asking them, workers by what becomes of requests; both write here, and
//! workers read it for each choice.
//!
//! - [`target`]: what is known of one target of one upstream, in the whole process;
//! - `state`: why it is out of rotation and when it comes back, as a pure function of what happened;
//! - [`upstream`]: what the targets of one upstream have in common;
//! - [`register`]: all of them, kept over reloads, and how they are shown;
//! - [`outcome`]: what a check came to, and what of a request is the target's fault;
//! - [`clock`]: the time all this goes by.
//!
//! There is no socket here: whoever asks targets is `control::checks`.

pub mod clock;
pub mod outcome;
pub mod register;
mod state;
pub mod target;
pub mod upstream;

pub use register::Register;
pub use state::{LastCheck, Standing};
pub use target::TargetHealth;
pub use upstream::UpstreamHealth;
