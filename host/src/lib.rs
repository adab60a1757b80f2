//! Swapgate: an API gateway whose behaviour is native plugins.
//!
//! This page is the map. Rooms in reading order, and what each does not know; what is absent here is what keeps the
//! house simple.
//!
//! A request walks through the hot side, on one worker thread from its first byte to its last:
//!
//! 1. [`worker`]: one thread, one runtime, its own sockets and upstream connections. [`local`] is what it keeps.
//! 2. [`listener`]: binding, accepting, one task for each connection; [`activity`] holds a connection to its limits,
//!    [`gather`] is how sockets write, [`socket`] what they are, [`endpoint`] where, and [`wire`] a socket with or without
//!    TLS.
//! 3. [`exchange`]: one request and its answer as one straight sequence. It knows no file and no configuration.
//! 4. [`router`]: host, path, method and further conditions to route, and why. Pure: no clock, no socket.
//! 5. [`stream`]: bodies on their way through plugins. Pure: no clock, no socket, and it calls no plugin.
//! 6. [`context`]: what plugins may see and change of an exchange. Plain data: it calls nobody.
//! 7. [`chain`]: walks the instances of a route in order. It knows no socket.
//! 8. [`ops`]: what plugins wait for. It knows no plugin. [`wake`] is how other threads wake what waits; it knows nobody.
//! 9. [`upstream`]: targets and connections. It knows no routes and no plugins.
//! 10. [`respond`]: everything that can go wrong, and the one table from there to an answer.
//!
//! A change walks through the slow side, on the control thread, and never touches a live request:
//!
//! 1. [`config`]: text to ready types, all errors at once. It knows no socket and no plugin file.
//! 2. [`plugin`]: from a file to instances that serve, and back. It knows no routes, connections or exchanges.
//! 3. [`control`]: one change at a time: read, validate, resolve, build, publish; or nothing changes and it says why. Beside
//!    that it asks targets whether they are well (`control::checks`).
//! 4. [`tls`]: from files that a configuration names to what a handshake needs. [`settle`] says whether a file has come to
//!    rest.
//! 5. [`discovery`]: from names of targets to addresses. It knows no worker and no connection.
//! 6. [`admin`]: shows what control wrote down. It changes nothing.
//! 7. [`server`]: joins the rooms; `main` and the tests start the same thing.
//!
//! What the process has to do with the system that started it stands in [`life`]: sockets that it was passed, whom it becomes,
//! and the way on which it speaks of itself, which `server::telling` does.
//!
//! With `--supervised` there is a process around all of this: [`supervise`] keeps the sockets and starts it anew. It also has
//! another process take over in an upgrade, which `server::upgrading` begins; [`life::pid_file`] says which process to ask.
//!
//! Beside both, [`scaffold`] makes new plugin projects. It knows nobody, and nobody but the command line knows it.
//!
//! Both sides meet in [`snapshot`], in [`metrics`], in [`mark`] (what each worker is doing right now), in [`fault`] (plugins
//! that go wrong), in [`health`] (targets that do), in [`journal`] (the log), in [`admission`] (who is let in) and in
//! [`refused`] (what is not served because of what it is); [`counted`] is where the process has one of each. Besides,
//! `control::explain` asks the pure parts of the exchange (`ingress`, `forwarding`), so that it says what the exchange would
//! do. Unsafe code stands in `plugin::{ffi, library, mapped}`, `supervise::crash`, `life::handed`, `allocator` and `leave`;
//! everywhere else it is denied.
//!
//! Nothing here may panic on what it is given: what cannot be is an error or has a type, and tests alone say `unwrap`. What
//! happens if something panics all the same, [`panics`] says.
#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::get_unwrap,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::unreachable,
        clippy::exit,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::unchecked_time_subtraction,
        clippy::panicking_unwrap,
        clippy::out_of_bounds_indexing,
    )
)]

pub mod activity;
pub mod admin;
pub mod admission;
#[allow(
    unsafe_code,
    reason = "tells the allocator of the C library what to keep"
)]
pub mod allocator;
pub mod chain;
pub mod config;
pub mod context;
pub mod control;
pub mod counted;
pub mod discovery;
#[doc(hidden)]
pub mod door;
pub mod endpoint;
pub mod exchange;
pub mod fault;
pub mod gather;
pub mod health;
pub mod journal;
#[allow(
    unsafe_code,
    reason = "ends the process past the destructors of plugins"
)]
pub mod leave;
pub mod life;
pub mod listener;
pub mod local;
pub mod mark;
pub mod metrics;
pub mod ops;
pub mod panics;
pub mod plugin;
pub mod refused;
pub mod respond;
pub mod router;
pub mod scaffold;
pub mod server;
pub mod settle;
pub mod snapshot;
pub mod socket;
pub mod stream;
pub mod supervise;
pub mod tls;
pub mod upstream;
pub mod wake;
pub mod wire;
pub mod worker;
