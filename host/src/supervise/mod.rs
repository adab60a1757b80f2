//! `swapgate run --supervised`: a parent that keeps the listening sockets, and a child that serves.
//!
//! A crash of a plugin ends the process it runs in; nothing inside can prevent that. So the parent loads no plugin, holds
//! a copy of every listening socket, and starts the next child when one dies. The system's accept queues belong to the
//! sockets and live on, so that no connection attempt is refused meanwhile; it waits.
//!
//! - [`parent`]: starts children, forwards signals, reads reports, hands sockets on;
//! - [`wire`]: what the two say to one another, sockets included;
//! - [`link`]: the child's side of it;
//! - [`binder`]: binding, with and without a parent;
//! - [`report`]: what the handler of a crash wrote down, read again;
//! - [`crash`]: that handler. Unsafe.

pub mod binder;
#[cfg(target_os = "linux")]
#[allow(
    unsafe_code,
    reason = "a signal handler is installed, reads raw memory and writes with system calls alone"
)]
pub mod crash;
pub mod link;
#[cfg(target_os = "linux")]
pub mod parent;
pub mod report;
pub mod wire;
