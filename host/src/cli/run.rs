//! `swapgate run`: serves until a signal ends it.

use std::io::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;
use swapgate::life::handed::{self, Handed};
use swapgate::life::notify::Notifier;
use swapgate::life::passed::Passed;
use swapgate::server::{self, Error, Options};
use swapgate::supervise::link::Link;
#[cfg(target_os = "linux")]
use swapgate::supervise::parent::{self as supervise, Plan};
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
    /// Keep the listening sockets in a process of their own and serve in a child, so that a plugin that crashes or hangs
    /// ends only that child; another one is there at once.
    #[arg(long)]
    supervised: bool,
    /// Serve as the child of a supervising process, which starts it so itself.
    #[arg(long, hide = true, conflicts_with = "supervised")]
    supervised_child: bool,
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
    /// Have `hook=trace` tell the values of variables and consumers; author's tools start their gateways so.
    #[arg(long, hide = true)]
    trace_values: bool,
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
    // Before the first thread.
    let handed = handed::take();
    let log = start_log(args);
    let handed = handed.unwrap_or_else(|error| {
        say(&error);
        swapgate::leave::now(FAILED)
    });
    if args.trace_values {
        swapgate::chain::tell_values();
    }
    if args.supervised {
        let code = supervise(handed);
        drop(log);
        swapgate::leave::now(code);
    }
    let link = if args.supervised_child {
        match Link::take() {
            Ok(link) => Some(link),
            Err(error) => {
                say(&format!(
                    "cannot reach the supervising process: {error}; use --supervised"
                ));
                drop(log);
                swapgate::leave::now(FAILED);
            }
        }
    } else {
        None
    };
    let (notifier, sockets) = match &link {
        Some(link) if handed.socket.is_none() => {
            (Notifier::by_parent(link, handed.watchdog), link.passed())
        }
        _ => (Notifier::new(&handed), handed.sockets),
    };
    let options = Options {
        link,
        passed: Passed::new(sockets),
        notifier,
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

/// Starts this very command as a child, again and again.
#[cfg(target_os = "linux")]
fn supervise(handed: Handed) -> u8 {
    let args = std::env::args_os().skip(1).map(|arg| match arg.to_str() {
        Some("--supervised") => "--supervised-child".into(),
        _ => arg,
    });
    let plan = Plan {
        exe: PathBuf::from("/proc/self/exe"),
        args: args.collect(),
        notifier: Notifier::new(&handed),
        passed: handed.sockets,
    };
    supervise::run(plan).unwrap_or_else(|error| {
        say(&format!("cannot supervise: {error}"));
        FAILED
    })
}

#[cfg(not(target_os = "linux"))]
fn supervise(_: Handed) -> u8 {
    say(
        &"--supervised is there for Linux only; leave it out, and have the system start the gateway again",
    );
    FAILED
}

fn say(text: &dyn std::fmt::Display) {
    // A closed stderr changes nothing about the result.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// What the library of HTTP/2 warns of is what clients do, who could fill the log with it. The gateway counts them, and tells
/// of each under `connection` for whoever asks.
const QUIET: &str = "h2=error";

/// Log lines go to stderr.
fn start_log(args: &Args) -> tracing_appender::non_blocking::WorkerGuard {
    let (writer, guard) = swapgate::journal::start(std::io::stderr());
    let filter = EnvFilter::try_new(format!("{QUIET},{}", args.log)).unwrap_or_else(|error| {
        say(&format!("--log {}: {error}; using info", args.log));
        EnvFilter::new(format!("{QUIET},info"))
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
