//! Crowds: thousands of connections that ask for nothing, take nothing or send next to nothing, and more requests than
//! the upstream can answer. What the gateway holds for them is bounded, everybody else is served as before, and nothing is
//! left of them once they have gone.
//!
//! The crowds are processes of their own. A test run never asserts on time; the figures that it prints are for a
//! person (`cargo test -p swapgate-tests --test crowd -- --nocapture`), and `cargo xtask soak --idle N` judges them.

mod idle;
mod overload;
mod slow;
mod world;
