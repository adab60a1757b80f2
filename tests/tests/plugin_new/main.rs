//! `swapgate plugin new`: what it makes builds on its own, outside of this repository, and lives in a gateway.

mod life;
mod project;
mod refusals;
mod vendor;
