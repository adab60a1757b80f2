//! The end-to-end harness: a real gateway process, real sockets on both sides of it, and real plugin files.
//!
//! In reading order:
//! - [`mod@eventually`]: waiting for a condition; the only place of the tests that pauses
//! - [`artifacts`]: builds the gateway and the plugins, and says where they are
//! - [`message`]: heads and framings; [`wire`]: one TCP connection, exact bytes in, exact bytes out
//! - [`client`]: what stands before the gateway; [`h2`]: the same in HTTP/2, frame by frame
//! - [`upstream`]: what stands behind it, scripted ([`conversation`]), recording every byte; [`mod@unreachable`]: nobody there
//! - [`plugin_dir`]: a plugins folder, and every way in which people put files into one; [`patched`]: what they put there
//! - [`gateway`]: the gateway itself, as a child process with a folder of its own; [`builder`]: how it is started;
//!   [`mod@launch`]: before it serves; [`edits`]: its configuration, while it serves
//! - [`mod@port`]: a port that stays the test's own; [`proxy`]: stands before a target and goes wrong on command
//! - [`load`]: clients that never pause, each answer checked; [`traffic`]: the same where failures are expected and every request
//!   can be told from every other, and [`recorder`]: the target that counts them
//! - [`mod@bench`]: crowds and loads in processes of their own
//! - [`mod@child`]: programs that run beside it, and what is made of them: [`python`] (real clients and servers), [`nginx`], [`dns`],
//!   [`curl`], [`mod@h2load`], [`browser`], [`openssl`], [`mod@strace`]; [`certificates`] for all of them; [`secure`]: TLS in the test's own process
//! - [`metrics`]: what the gateway counts; [`process`]: what the system tells about its memory; [`small_disk`]: one that can be full
//!
//! Everything here blocks: a test reads from top to bottom, and what runs at the same time is a thread one can see.
#![forbid(unsafe_code)]

pub mod artifacts;
pub mod bench;
pub mod browser;
pub mod builder;
pub mod certificates;
pub mod child;
pub mod client;
pub mod conversation;
pub mod curl;
pub mod dns;
pub mod edits;
pub mod eventually;
pub mod gateway;
pub mod h2;
pub mod h2load;
pub mod launch;
pub mod load;
pub mod message;
pub mod metrics;
pub mod nginx;
pub mod openssl;
pub mod patched;
pub mod plugin_dir;
pub mod port;
pub mod process;
pub mod proxy;
pub mod python;
pub mod recorder;
pub mod secure;
pub mod small_disk;
pub mod strace;
pub mod traffic;
pub mod unreachable;
pub mod upstream;
pub mod wire;

pub use certificates::Certificates;
pub use child::{Finished, Running};
pub use client::{Client, Response};
pub use curl::Curl;
pub use dns::Dns;
pub use eventually::{Gate, wait_for, wait_until};
pub use gateway::Gateway;
pub use load::Load;
pub use metrics::Scrape;
pub use nginx::Nginx;
pub use patched::Patched;
pub use plugin_dir::PluginDir;
pub use proxy::{Fault, Proxy};
pub use python::Python;
pub use recorder::{Arrivals, Recorder};
pub use secure::{Secure, SecureConfig};
pub use small_disk::SmallDisk;
pub use strace::Strace;
pub use traffic::Traffic;
pub use upstream::{Received, Upstream};
