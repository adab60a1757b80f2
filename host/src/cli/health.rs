//! `swapgate health`: whether a running gateway is well, for health checks of containers, which have no other program to ask
//! with.

use std::process::ExitCode;

use super::ask::{Admin, Ask};
use super::{FAILED, print};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    admin: Admin,
    /// Ask whether it is alive, and not whether it is ready for requests.
    #[arg(long)]
    alive: bool,
}

/// Exit code 0 if it is, 1 if it is not or nobody answers.
pub(crate) fn run(args: &Args) -> ExitCode {
    let (path, word) = if args.alive {
        ("/healthz", "alive")
    } else {
        ("/readyz", "ready")
    };
    ExitCode::from(match args.admin.ask(Ask::Get(path)) {
        Ok(_) => print(word),
        Err(error) => {
            eprintln!("not {word}: {error}");
            FAILED
        }
    })
}
