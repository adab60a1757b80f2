//! What this process has to do with the system that started it: what was passed to it, whom it becomes, and the way on
//! which it speaks of itself; what it says and when is the server's.
//!
//! - [`handed`]: variables and sockets that a service manager leaves to a process, taken once and before anything else. Unsafe;
//! - [`passed`]: listening sockets among them, and which listener each is for;
//! - [`notify`]: the words for the service manager, and the way to it;
//! - [`privileges`]: becoming another user once everything is bound;
//! - [`pid_file`]: the file that says which process to ask.
//!
//! Nothing here knows a request, a plugin or a route, nor the process that supervises this one.

#[allow(
    unsafe_code,
    reason = "takes over descriptors that were inherited, and takes variables away from plugins and children"
)]
pub mod handed;
pub mod notify;
pub mod passed;
pub mod pid_file;
pub mod privileges;
