//! What plugins wait for and share, in a running gateway: values, callouts, names, functions that take long, ticks.

mod background;
mod callout;
mod secure;
mod values;
mod world;
