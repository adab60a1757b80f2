//! `swapgate preflight`: what the gateway starts as a child to try a plugin. Not for people.

use std::process::ExitCode;

/// Reads the request from stdin and reports on stdout.
pub(crate) fn run() -> ExitCode {
    swapgate::plugin::preflight::child::run()
}
