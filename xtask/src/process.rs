//! Programs in processes of their own: started, waited for until they are ready, and never left behind.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::failure::{Context, Failure, Outcome};
use crate::signals;

/// How long a program may take until it announces itself.
const READY: Duration = Duration::from_secs(60);
/// Between two looks at something that another process is about to change.
const PAUSE: Duration = Duration::from_millis(5);

/// A running program; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Program {
    name: &'static str,
    child: Child,
}

/// Where a program listens.
#[derive(Debug)]
pub(crate) struct Announced {
    /// The address for clients.
    pub(crate) public: String,
    /// The address of the admin listener, where the program has one.
    pub(crate) admin: Option<String>,
}

impl Program {
    /// Starts `command`. Its standard input stays open until this value is dropped, which helpers take as their end.
    ///
    /// The program gets a process group of its own: Ctrl-C at the terminal reaches xtask alone, which then ends the
    /// programs in the right order.
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Outcome<Self> {
        let child = command
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .context(format_args!(
                "{name} cannot be started ({})",
                command.get_program().display()
            ))?;
        Ok(Self { name, child })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the program has written `file`, and reads it.
    pub(crate) fn announced(&mut self, file: &Path) -> Outcome<Announced> {
        let what = format!("{} to announce itself", self.name);
        wait_for(&what, READY, || {
            if let Some(status) = self.ended()? {
                return Err(Failure::new(format!(
                    "{} ended before it was ready ({status})",
                    self.name
                )));
            }
            Ok(std::fs::read(file)
                .ok()
                .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()))
        })
        .and_then(|announced| {
            let public = announced["listeners"][0]["address"].as_str();
            Ok(Announced {
                public: public
                    .ok_or_else(|| Failure::new(format!("{} announced no listener", self.name)))?
                    .to_owned(),
                admin: announced["admin"].as_str().map(String::from),
            })
        })
    }

    /// Its status, once it has ended.
    pub(crate) fn ended(&mut self) -> Outcome<Option<ExitStatus>> {
        self.child
            .try_wait()
            .context(format_args!("{} cannot be observed", self.name))
    }

    /// Fails when the program has ended although it should still run.
    pub(crate) fn must_run(&mut self) -> Outcome<()> {
        match self.ended()? {
            Some(status) => Err(Failure::new(format!(
                "{} ended while it was needed ({status})",
                self.name
            ))),
            None => Ok(()),
        }
    }

    /// Asks the program to end.
    pub(crate) fn terminate(&self) -> Outcome<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)
            .context(format_args!("{} cannot be told to end", self.name))
    }

    /// Asks the program to end and waits until it has.
    pub(crate) fn stop(mut self, limit: Duration) -> Outcome<ExitStatus> {
        self.terminate()?;
        let what = format!("{} to end after SIGTERM", self.name);
        wait_for(&what, limit, || self.ended())
    }

    /// Waits until the program has ended by itself and collects what it has written, which must be a few lines:
    /// more than a pipe holds would never be read.
    pub(crate) fn wait(mut self, limit: Duration) -> Outcome<String> {
        let what = format!("{} to end", self.name);
        let status = wait_for(&what, limit, || self.ended())?;
        if !status.success() {
            return Err(Failure::new(format!("{} failed ({status})", self.name)));
        }
        let mut text = String::new();
        if let Some(mut output) = self.child.stdout.take() {
            output
                .read_to_string(&mut text)
                .context(format_args!("the output of {} cannot be read", self.name))?;
        }
        Ok(text)
    }

    /// Writes a line to the program's standard input.
    pub(crate) fn say(&mut self, line: &str) -> Outcome<()> {
        let input = self.child.stdin.as_mut();
        let input = input.ok_or_else(|| Failure::new(format!("{} does not listen", self.name)))?;
        writeln!(input, "{line}").context(format_args!("{} does not listen", self.name))
    }

    /// Closes the program's standard input, which ends it, and collects what it has written.
    pub(crate) fn finish(mut self, limit: Duration) -> Outcome<String> {
        drop(self.child.stdin.take());
        self.wait(limit)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only when the program has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks again and again until `look` finds something, time is up, or a signal arrives.
pub(crate) fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Outcome<Option<T>>,
) -> Outcome<T> {
    let deadline = Instant::now() + limit;
    loop {
        signals::must_be_quiet()?;
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(format!(
                "waited {} s in vain for {what}",
                limit.as_secs()
            )));
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::{Program, wait_for};

    #[test]
    fn a_program_that_ends_early_is_not_waited_for() {
        let mut program = Program::start("the program", &mut Command::new("false")).unwrap();
        let refusal = program
            .announced("nowhere".as_ref())
            .unwrap_err()
            .to_string();
        assert_eq!(
            refusal,
            "the program ended before it was ready (exit status: 1)"
        );
    }

    #[test]
    fn dropping_ends_the_program() {
        let program = Program::start("the program", &mut Command::new("cat")).unwrap();
        let folder = format!("/proc/{}", program.pid());
        assert!(std::path::Path::new(&folder).exists());
        drop(program);
        assert!(!std::path::Path::new(&folder).exists());
    }

    #[test]
    fn waiting_ends() {
        let refusal = wait_for::<()>("rain", Duration::ZERO, || Ok(None))
            .unwrap_err()
            .to_string();
        assert_eq!(refusal, "waited 0 s in vain for rain");
    }
}
