//! strace, which has system calls of a process fail: they are not made at all, and the process is told an error.
//!
//! It counts the calls of each thread for itself, and everything in a traced process is slower; whoever uses it waits for
//! events.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::child::Running;
use crate::eventually::{wait_for, wait_until};

/// How long it may take to let go in order.
const PATIENCE: Duration = Duration::from_secs(2);

/// How a call that was made to fail is marked.
const INJECTED: &str = "(INJECTED)";

/// Whose calls are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Those of every thread that is there now, of none that comes, and of no child.
    Threads,
    /// Those of every thread and child, also of those that are still to come.
    Everybody,
}

/// An strace that is attached. Dropping it lets the process go.
pub struct Strace {
    process: Option<Running>,
    output: PathBuf,
    _folder: TempDir,
}

impl Strace {
    /// Attaches to a process and has calls fail from now on: `calls` is one or several with commas, `how` is what strace
    /// takes behind them, such as `error=EMFILE:when=3`.
    ///
    /// # Panics
    /// When strace is not installed, or may not trace the process.
    #[must_use]
    #[track_caller]
    pub fn inject(pid: Pid, whose: Whose, calls: &str, how: &str) -> Self {
        let folder = tempfile::tempdir().expect("the system has a temporary folder");
        let output = folder.path().join("trace");
        let mut command = Command::new("strace");
        command
            .args(["-qqq", "-o"])
            .arg(&output)
            .args(["-e", &format!("trace={calls}")])
            .args(["-e", "signal=none"])
            .args(["-e", &format!("inject={calls}:{how}")]);
        let tasks = tasks(pid);
        match whose {
            Whose::Everybody => {
                command.args(["-f", "-p", &pid.as_raw_nonzero().to_string()]);
            }
            Whose::Threads => {
                for task in &tasks {
                    command.args(["-p", &task.to_string()]);
                }
            }
        }
        let mut process = Running::start(&mut command);
        wait_until("strace to be attached", || {
            assert!(process.ended().is_none(), "strace ended: {process:?}");
            tasks.iter().all(|task| is_traced(pid, *task))
        });
        Self {
            process: Some(process),
            output,
            _folder: folder,
        }
    }

    /// The calls that were made to fail so far, one a line.
    #[must_use]
    pub fn injected(&self) -> Vec<String> {
        let text = fs::read(&self.output).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().filter(|line| line.ends_with(INJECTED));
        lines.map(str::to_owned).collect()
    }

    /// Lets the process go, and gives back the calls that were made to fail.
    ///
    /// # Panics
    /// When strace does not end.
    #[track_caller]
    pub fn detach(mut self) -> Vec<String> {
        self.end();
        self.injected()
    }

    fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::INT);
            let since = Instant::now();
            let mut killed = false;
            wait_for("strace to let go", || {
                // It waits for ever for a thread that waits for a child which it holds; the system lets go of all of them.
                if !killed && since.elapsed() > PATIENCE {
                    killed = true;
                    process.signal(Signal::KILL);
                }
                process.ended()
            });
        }
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        // Killed, it would leave the process in the middle of a call that it holds.
        if !std::thread::panicking() {
            self.end();
        } else if let Some(process) = &self.process {
            process.signal(Signal::INT);
        }
    }
}

/// The threads of a process.
fn tasks(pid: Pid) -> Vec<u32> {
    let folder = format!("/proc/{}/task", pid.as_raw_nonzero());
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Whether somebody traces a thread, or it is gone.
fn is_traced(pid: Pid, task: u32) -> bool {
    let file = format!("/proc/{}/task/{task}/status", pid.as_raw_nonzero());
    let Ok(status) = fs::read_to_string(file) else {
        return true;
    };
    let tracer = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.is_some_and(|tracer| tracer.trim() != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_a_call_fail_and_lets_go() {
        let mut shell = Command::new("sh");
        let mut shell = Running::start(shell.args([
            "-c",
            "while read -r line; do (cat /dev/null && echo fine) 2>/dev/null || echo broken; done",
        ]));
        let strace = Strace::inject(
            shell.pid(),
            Whose::Everybody,
            "openat",
            "error=EMFILE:when=1+",
        );
        shell.say("a");
        assert_eq!(shell.line(), "broken");
        assert!(!strace.injected().is_empty());
        assert!(!strace.detach().is_empty());
        shell.say("b");
        assert_eq!(shell.line(), "fine");
    }
}
