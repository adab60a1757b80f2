//! `swapgate run --supervised`: a parent that keeps the listening sockets, and a child that serves.
//!
//! A crash of a plugin ends the process it runs in; nothing inside can prevent that. So the parent loads no plugin, holds
//! a copy of every listening socket, and starts the next child when one dies. The system's accept queues belong to the
//! sockets and live on, so that no connection attempt is refused meanwhile; it waits.
//!
//! An upgrade is the same with a process that lives on: a new one takes the sockets over, and the old one drains once the new
//! one accepts. The supervising process starts it, or, without one, the process that serves.
//!
//! - [`parent`]: starts children, forwards signals, reads reports, hands sockets on;
//! - [`process`]: a process that was started here; [`takeover`]: having one take over, and [`turn`]: from when on it may accept;
//! - [`origin`]: what was started, so that it can be started again; [`successor`]: doing so without a parent;
//! - [`upgrade`]: how upgrades went; [`kept`]: what the next process gets;
//! - [`wire`]: what they say to one another, sockets included;
//! - [`link`]: the other side of it, in the process that was started;
//! - [`binder`]: binding, with and without a parent;
//! - [`crash`]: the handler of a crash. Unsafe. What it wrote down is read again in [`crate::fault::report`].

pub mod binder;
#[cfg(target_os = "linux")]
#[allow(
    unsafe_code,
    reason = "a signal handler is installed, reads raw memory and writes with system calls alone"
)]
pub mod crash;
pub mod kept;
pub mod link;
pub mod origin;
#[cfg(target_os = "linux")]
pub mod parent;
#[cfg(target_os = "linux")]
pub mod process;
pub mod successor;
#[cfg(target_os = "linux")]
pub mod takeover;
pub mod turn;
pub mod upgrade;
pub mod wire;
