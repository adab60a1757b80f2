//! The command line.
//!
//! Exit codes, for every subcommand:
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done; for `check`, the configuration is good; for `explain`, it is explained, whatever the answer |
//! | 1 | what was asked about is not fit, such as a plugin file that is refused; or the command itself failed |
//! | 2 | the configuration is wrong, with every error on stderr; or the arguments are (clap's own code) |

mod ask;
mod check;
mod child;
mod explain;
mod health;
mod new;
mod plugin;
mod preflight;
mod release;
mod run;
mod schema;
mod scratch;
mod top;
mod upgrade;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// An API gateway whose behaviour is native plugins.
#[derive(Debug, Parser)]
#[command(name = "swapgate", version, about, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a configuration file until SIGTERM or SIGINT, then drain.
    Run(run::Args),
    /// Check a configuration file without serving it.
    Check(check::Args),
    /// Say which route takes a request and why, what runs, and where it goes.
    Explain(explain::Args),
    /// Say whether a running gateway is ready, for health checks.
    Health(health::Args),
    /// Have a running gateway replaced by its executable as it is now, without a lost request.
    Upgrade(upgrade::Args),
    /// Show what each plugin of a running gateway costs, refreshed until it is interrupted.
    Top(top::Args),
    /// Look after plugin files.
    Plugin(plugin::Args),
    /// Try a plugin in a child process; the gateway calls this itself.
    #[command(hide = true)]
    Preflight,
    /// Print the JSON Schema of the configuration file.
    Schema,
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines for people.
    Text,
    /// One JSON document on stdout.
    Json,
}

impl Cli {
    /// Does what was asked.
    pub(crate) fn run(self) -> ExitCode {
        match self.command {
            Command::Run(args) => run::run(&args),
            Command::Check(args) => check::run(&args),
            Command::Explain(args) => explain::run(&args),
            Command::Health(args) => health::run(&args),
            Command::Upgrade(args) => upgrade::run(&args),
            Command::Top(args) => top::run(&args),
            Command::Plugin(args) => plugin::run(&args),
            Command::Preflight => preflight::run(),
            Command::Schema => schema::run(),
        }
    }
}

/// Everything went well.
pub(crate) const OK: u8 = 0;
/// What was asked about is not fit, or the command failed.
pub(crate) const FAILED: u8 = 1;
/// The configuration is wrong.
pub(crate) const BAD_CONFIGURATION: u8 = 2;

/// Writes a line to stdout. A reader that went away, as `head` does, is no reason to panic.
pub(crate) fn print(line: &str) -> u8 {
    use std::io::Write as _;
    match writeln!(std::io::stdout(), "{line}") {
        Ok(()) => OK,
        Err(_) => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
