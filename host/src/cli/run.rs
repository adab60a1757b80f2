//! `swapgate run`: serves until a signal ends it.

use std::io::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;
use swapgate::server::{self, Error, Options};
use tracing_subscriber::EnvFilter;

use super::{BAD_CONFIGURATION, FAILED, OK};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration file, YAML or JSON.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Write the bound addresses to this file, as JSON, once everything serves.
    #[arg(long, value_name = "FILE")]
    announce: Option<PathBuf>,
    /// How log lines look; they go to stderr.
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// What is logged, such as `info` or `warn,plugin=debug`.
    #[arg(
        long,
        value_name = "FILTER",
        env = "SWAPGATE_LOG",
        default_value = "info"
    )]
    log: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON document a line.
    Json,
}

/// Serves, then ends the process: exit code 0 after a drain, 2 for a wrong configuration, 1 for anything else.
pub(crate) fn run(args: &Args) -> ! {
    let log = start_log(args);
    let options = Options {
        config: args.config.clone(),
        announce: args.announce.clone(),
        exe: PathBuf::from("/proc/self/exe"),
    };
    let code = match server::run(&options) {
        Ok(()) => OK,
        Err(Error::Config(errors)) => {
            errors.iter().for_each(|error| say(error));
            BAD_CONFIGURATION
        }
        Err(Error::State(refusal)) => {
            say(&refusal);
            FAILED
        }
        Err(Error::Other(text)) => {
            say(&text);
            FAILED
        }
    };
    // Writes what is still in the queue.
    drop(log);
    swapgate::leave::now(code)
}

fn say(text: &dyn std::fmt::Display) {
    // A closed stderr changes nothing about the result.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Log lines are written by a thread of their own: a slow reader of stderr costs lines, never a worker.
fn start_log(args: &Args) -> tracing_appender::non_blocking::WorkerGuard {
    let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
    let filter = EnvFilter::try_new(&args.log).unwrap_or_else(|error| {
        say(&format!("--log {}: {error}; using info", args.log));
        EnvFilter::new("info")
    });
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    let started = match args.log_format {
        LogFormat::Text => log.with_ansi(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        say(&format!("cannot start the log: {error}"));
    }
    guard
}
