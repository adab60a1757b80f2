//! `swapgate schema`: for editors, and for the committed copy.

use std::process::ExitCode;

use super::print;

/// Prints the schema as it is committed.
pub(crate) fn run() -> ExitCode {
    let schema = swapgate::config::schema();
    ExitCode::from(print(&format!("{schema:#}")))
}
