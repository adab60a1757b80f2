//! Targets that fail, in every way in which targets do: what the client sees of it, what arrives at the targets, and what
//! stays behind.

mod judge;
mod killed;
mod recommended;
mod single;
mod storm;
mod trial;
mod world;
