//! Real clients before the gateway and real servers behind it: curl, h2load, a browser, and what people write in Python.
//!
//! What the gateway does is the same for each of them, so most cases run over every way in which a client may come
//! ([`world::Way`]), with plugins in them. `cargo xtask tools` installs the programs.

mod behind_tls;
mod browser;
mod crowds;
mod curl;
mod events;
mod files;
mod grpc;
mod grpc_errors;
mod lives;
mod trailers;
mod uploads;
mod websockets;
mod world;
