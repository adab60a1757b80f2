//! The `swapgate` command.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    swapgate::allocator::settle();
    cli::Cli::parse().run()
}
