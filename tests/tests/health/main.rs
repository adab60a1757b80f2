//! Which targets are in rotation: checks, ejections, and what operators see of both.

mod active;
mod grpc;
mod passive;
mod reloads;
mod rotation;
mod secure;
mod world;
