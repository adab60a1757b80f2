//! Everything that changes what serves, one change at a time, on a thread of its own.
//!
//! ```text
//! events (file, folder, signal, worker) -> apply: read, validate, resolve plugins, build -> publish to every worker
//!                                                            any failure: nothing changes, and it is said
//! ```
//!
//! - [`events`]: the one enum of everything that can happen;
//! - [`watch`]: files and signals become events;
//! - [`follow`]: files that the configuration names become events as well;
//! - [`file`](mod@file): the configuration file, come to rest;
//! - [`folder`]: which plugin files lie in the folder, settled and fit;
//! - [`previous`]: the files that served before those of the folder;
//! - [`probation`]: versions that replaced others a short while ago;
//! - [`select`]: which of them a use admits;
//! - [`resolve`]: from uses to instances;
//! - [`assemble`]: from configuration and instances to a snapshot;
//! - [`checks`]: whether the targets of what serves can be used;
//! - [`fleet`]: the workers, their sockets, and who still holds which generation;
//! - [`apply`]: one change from its beginning to its end;
//! - [`check`](mod@check): the same without serving;
//! - [`explain`](mod@explain): what would become of a request, and why;
//! - [`status`]: what the admin listener shows.
//!
//! Nothing here touches a live request.

pub mod apply;
pub mod assemble;
pub mod check;
pub mod checks;
pub mod events;
pub mod explain;
pub mod file;
pub mod fleet;
pub mod folder;
pub mod follow;
pub mod pressure;
pub mod previous;
pub mod probation;
pub mod resolve;
pub mod select;
pub mod status;
pub mod watch;
