//! `swapgate upgrade`: has a running gateway replaced by its executable as it is now, and tells how that went.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use swapgate::life::pid_file;
use swapgate::supervise::upgrade::{Last, Outcome, Standing};

use super::ask::Admin;
use super::{FAILED, print};

/// Between two looks at how it goes.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    admin: Admin,
    /// The process to ask, instead of the one that the admin listener names: the serving one, or with `--supervised` the
    /// supervising one.
    #[arg(long, value_name = "NUMBER", conflicts_with = "pid_file")]
    pid: Option<u32>,
    /// The file that holds its number, as `run --pid-file` writes it.
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// How many seconds to wait for the outcome.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    wait: u64,
}

/// Asks for an upgrade and waits until it is known how it ended.
pub(crate) fn run(args: &Args) -> ExitCode {
    let code = match upgrade(args) {
        Ok(told) => print(&told),
        Err(why) => {
            super::run::say(&why);
            FAILED
        }
    };
    code.into()
}

fn upgrade(args: &Args) -> Result<String, String> {
    let status = args
        .admin
        .document("/status")
        .map_err(|error| error.to_string())?;
    let standing = standing(&status)
        .ok_or("the gateway that answers knows no upgrades; restart it with the new executable")?;
    // One that is under way is the one that was wanted.
    let (wanted, asked) = if standing.is_under_way() {
        (standing.number, None)
    } else {
        let asked = process(args, &status)?;
        ask(asked)?;
        (standing.number + 1, Some(asked))
    };
    let last = outcome(args, wanted, asked)?;
    match (last.outcome, &last.to) {
        (Outcome::Serves, Some(to)) => Ok(format!(
            "process {} serves, swapgate {}, after {} ms; process {}, swapgate {}, drains",
            to.pid, to.version, last.took_ms, last.from.pid, last.from.version
        )),
        _ if last.at_once => Err(format!(
            "no upgrade of process {}, swapgate {}, because {}",
            last.from.pid,
            last.from.version,
            last.why.unwrap_or_default()
        )),
        _ => Err(format!(
            "process {} serves on, swapgate {}: {}",
            last.from.pid,
            last.from.version,
            last.why.unwrap_or_default()
        )),
    }
}

fn standing(status: &Value) -> Option<Standing> {
    serde_json::from_value(status.get("upgrade")?.clone()).ok()
}

/// The process to ask.
fn process(args: &Args, status: &Value) -> Result<u32, String> {
    if let Some(file) = &args.pid_file {
        return pid_file::read(file);
    }
    let number = |key: &str| status.get(key).and_then(Value::as_u64);
    let told = number("supervisor_pid").or_else(|| number("pid"));
    let told = told.and_then(|number| u32::try_from(number).ok());
    args.pid
        .or(told)
        .ok_or_else(|| "the gateway does not tell its process; name it with --pid".to_owned())
}

/// Sends the signal, to a process that does not die of it.
fn ask(number: u32) -> Result<(), String> {
    let pid = i32::try_from(number).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| format!("{number} is no number of a process"))?;
    if !takes_the_signal(number) {
        return Err(format!(
            "process {number} of this machine is no gateway that can be upgraded; run the command where the gateway runs, or name its process with --pid"
        ));
    }
    kill_process(pid, Signal::USR2)
        .map_err(|error| format!("cannot send SIGUSR2 to process {number}: {error}; run the command as the user of the gateway"))
}

/// Whether a process has a handler for SIGUSR2 (proc(5)). The number may be that of a container or of another machine.
fn takes_the_signal(number: u32) -> bool {
    if cfg!(not(target_os = "linux")) {
        return true;
    }
    let status = std::fs::read_to_string(format!("/proc/{number}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & (1 << (libc::SIGUSR2 - 1)) != 0)
}

fn is_gone(number: u32) -> bool {
    let number = number.to_string();
    cfg!(target_os = "linux") && !Path::new("/proc").join(number).exists()
}

/// Waits for the outcome; whoever answers meanwhile may be either process, and for a moment nobody.
fn outcome(args: &Args, wanted: u64, asked: Option<u32>) -> Result<Last, String> {
    let limit = Duration::from_secs(args.wait);
    let start = Instant::now();
    while start.elapsed() < limit {
        // Looked at first, so that nobody answers for a reason that came after it.
        let gone = asked.is_some_and(is_gone);
        let status = args.admin.document("/status").ok();
        if gone && status.is_none() {
            let asked = asked.unwrap_or_default();
            return Err(format!(
                "the outcome is not known: process {asked}, which was asked, is gone, and nobody answers at the admin listener any more; see the log of the gateway"
            ));
        }
        let standing = status.as_ref().and_then(standing);
        let known = standing.filter(|standing| !standing.is_under_way());
        if let Some(last) = known.and_then(|standing| standing.last)
            && last.number >= wanted
        {
            return Ok(last);
        }
        thread::sleep(PAUSE);
    }
    Err(format!(
        "the outcome is not known after {limit:?}; see the log of the gateway and /status, or wait longer with --wait"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_would_die_of_the_signal_is_not_asked() {
        let why = ask(std::process::id()).unwrap_err();
        assert!(why.contains("is no gateway that can be upgraded"), "{why}");
    }
}
