//! Answers that the gateway makes itself.
//!
//! [`failure`] names everything that can go wrong with an exchange and whose side failed, [`plugin`] what a plugin did that
//! failed; [`rescue`] is the one table from there to an HTTP answer; [`problem`] writes it, and [`grpc`] says it again to
//! clients of gRPC.
//! Only this room knows status codes of failures.

pub mod failure;
pub mod grpc;
pub mod plugin;
pub mod problem;
pub mod rescue;
