//! `openssl s_client`: a TLS client that is not ours, and that tells everything about a handshake.

use std::net::SocketAddr;
use std::process::Command;

use crate::child::{Finished, Running};

/// What it is asked to send.
const GET: &str = "GET /s_client HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r";

/// Shakes hands with a listener and ends; the arguments go to `s_client`.
#[must_use]
#[track_caller]
pub fn handshake(address: SocketAddr, arguments: &[&str]) -> Finished {
    Running::start(&mut command(address, arguments)).finish()
}

/// Shakes hands, asks for something, and reads until the other end closes.
#[must_use]
#[track_caller]
pub fn get(address: SocketAddr, arguments: &[&str]) -> Finished {
    let mut command = command(address, arguments);
    let mut running = Running::start(command.arg("-ign_eof"));
    running.say(GET);
    running.finish()
}

/// Runs openssl with these arguments and demands that it ends well.
///
/// # Panics
/// When it does not.
#[track_caller]
pub fn openssl(arguments: &[&str]) -> Finished {
    let mut command = Command::new("openssl");
    Running::start(command.args(arguments)).finish().success()
}

fn command(address: SocketAddr, arguments: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command
        .args(["s_client", "-connect", &address.to_string()])
        .args(arguments);
    command
}
