//! `cargo xtask soak`: the gateway under load for as long as one likes.
//!
//! - [`life`]: reloads and swaps, right ones and wrong ones, beside everything that clients do; [`options`], [`plan`] and
//!   [`texts`] say what, [`bed`] and [`clients`] run it, [`session`] makes the changes, [`verdict`] judges
//! - [`overload`]: more requests than its upstream can answer
//! - [`cases`]: cases of the tests in their long form: upgrades, system calls that fail, targets that are killed, idle connections
//! - [`shown`]: what the admin listener shows of a change

mod bed;
mod cases;
mod clients;
mod life;
mod options;
mod overload;
mod plan;
mod session;
mod shown;
mod texts;
mod verdict;

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::arguments::Arguments;
use crate::failure::{Context, Outcome};
use crate::folder::Folder;
use crate::process::Program;
use crate::run::gateway_command;

pub(crate) use shown::{is_active, is_judged};

/// How long the load and the gateway may take to end; an answer that never comes is counted after a minute.
const DRAIN: Duration = Duration::from_secs(120);

/// Runs one of the soaks.
pub(crate) fn soak(mut arguments: Arguments) -> Outcome<ExitCode> {
    if arguments.flag("--overload") {
        overload::soak(arguments)
    } else if let Some(count) = arguments.value("--upgrades")? {
        cases::upgrades(arguments, count)
    } else if arguments.flag("--calls") {
        cases::calls(arguments)
    } else if let Some(count) = arguments.value("--faults")? {
        cases::faults(arguments, count)
    } else if let Some(count) = arguments.value("--idle")? {
        cases::idle(arguments, count)
    } else {
        life::soak(arguments)
    }
}

/// Starts the gateway; what it logs goes to a file, for there may be many lines.
fn start_gateway_logging(built: &Path, folder: &Folder, config: &Path) -> Outcome<Program> {
    let path = folder.file("gateway.log");
    let log = File::create(&path).context(format_args!("{} cannot be made", path.display()))?;
    println!("the gateway logs to {}", path.display());
    Program::start(
        "the gateway",
        gateway_command(&[], built, folder, config).stderr(log),
    )
}
