//! Upgrades: a new process takes over from the one that serves, and nobody outside can tell; or it fails, and nobody can tell
//! that either.
//!
//! - [`world`]: a gateway with every kind of listener, under a name at which a test can put another executable
//! - [`clients`]: clients of every kind that never pause and lose nothing
//! - [`life`]: what becomes of the process that is replaced, and of signals and changes meanwhile
//! - [`many`]: many upgrades in a row, some of which crash
//! - [`refused`]: what keeps a new process from taking over, and what is said of it
//! - [`turn`]: a new process that is told that it is its turn and goes no further

mod clients;
mod life;
mod many;
mod refused;
mod turn;
mod world;
