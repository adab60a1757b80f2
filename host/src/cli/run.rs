//! `swapgate run`: serves until a signal ends it.

use std::io::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;
use swapgate::life::handed::{self, Handed};
use swapgate::life::notify::Notifier;
use swapgate::life::passed::Passed;
use swapgate::server::{self, Error, Options};
use swapgate::supervise::link::Link;
use swapgate::supervise::origin::Origin;
#[cfg(target_os = "linux")]
use swapgate::supervise::parent::{self as supervise, Supervised};
#[cfg(target_os = "linux")]
use swapgate::supervise::process::Plan;
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
    /// Take over from the process that serves, which starts it so itself at an upgrade.
    #[arg(
        long,
        hide = true,
        conflicts_with = "supervised",
        conflicts_with = "supervised_child"
    )]
    successor: bool,
    /// Write the number of the process to this file once it serves, and remove the file at the end; with `--supervised`
    /// that of the supervising process. It is the one to send SIGHUP, SIGTERM and SIGUSR2 to.
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
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
    // Before anything changes what it was started as.
    let origin = Origin::own();
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
        let code = supervise(args, origin, handed);
        drop(log);
        swapgate::leave::now(code);
    }
    let link = if args.supervised_child || args.successor {
        match Link::take(args.supervised_child) {
            Ok(link) => Some(link),
            Err(error) => {
                say(&format!(
                    "cannot reach the process that starts this one: {error}; leave --supervised-child and --successor to it"
                ));
                drop(log);
                swapgate::leave::now(FAILED);
            }
        }
    } else {
        None
    };
    let (notifier, sockets) = match &link {
        Some(link) if link.is_supervised() && handed.socket.is_none() => (
            Notifier::by_parent(link.clone(), handed.watchdog),
            link.passed(),
        ),
        _ => (Notifier::new(&handed), handed.sockets),
    };
    let options = Options {
        link: link.clone(),
        origin,
        pid_file: args.pid_file.clone(),
        passed: Passed::new(sockets),
        notifier,
        config: args.config.clone(),
        announce: args.announce.clone(),
        exe: PathBuf::from("/proc/self/exe"),
    };
    let outcome = server::run(&options);
    if let (Some(link), Err(error)) = (&link, &outcome) {
        link.fails(&error.to_string());
    }
    let code = match outcome {
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
fn supervise(args: &Args, origin: Origin, handed: Handed) -> u8 {
    let named = origin.args.into_iter().map(|arg| match arg.to_str() {
        Some("--supervised") => "--supervised-child".into(),
        _ => arg,
    });
    let notifier = Notifier::new(&handed);
    let plan = Plan {
        exe: PathBuf::from("/proc/self/exe"),
        file: None,
        args: named.collect(),
        apart: true,
        variables: notifier.times().into_iter().collect(),
    };
    let supervised = Supervised {
        plan,
        exe: origin.exe,
        pid_file: args.pid_file.clone(),
        notifier,
        passed: handed.sockets,
    };
    supervise::run(supervised).unwrap_or_else(|error| {
        say(&format!("cannot supervise: {error}"));
        FAILED
    })
}

#[cfg(not(target_os = "linux"))]
fn supervise(_: &Args, _: Origin, _: Handed) -> u8 {
    say(
        &"--supervised is there for Linux only; leave it out, and have the system start the gateway again",
    );
    FAILED
}

pub(super) fn say(text: &dyn std::fmt::Display) {
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
