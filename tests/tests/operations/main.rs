//! What plugins wait for and share, in a running gateway: values, callouts, names, functions that take long, ticks.

mod background;
mod callout;
mod values;
mod world;
