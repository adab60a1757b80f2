//! What a gRPC client reads when the gateway itself answers: a status of gRPC's own, in a form that every client takes.

use std::time::Duration;

use serde_json::Value;
use swapgate_tests::unreachable::Unreachable;
use swapgate_tests::{Python, Upstream};

use crate::grpc::{client, configuration};
use crate::world::{HEADERS, KEY_AUTH, Way, World};

#[track_caller]
fn told(world: &World, way: Way, method: &str) -> Value {
    client(world, way, &[method]).run().success().json()
}
