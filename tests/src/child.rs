//! Programs that the tests start beside the gateway: servers they wait for, tools they run to the end.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::eventually::lock;

/// How long a program may run that is run to its end, and how long a line of one may take. No expectation about speed.
pub const TOOL_LIMIT: Duration = Duration::from_secs(180);

/// A program that runs. Dropping it kills it and whatever it started; a test that fails sees what it wrote.
///
/// Its standard input is a pipe of ours, so that programs which read it also notice when a test is killed.
pub struct Running {
    name: String,
    process: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    reading: Vec<JoinHandle<()>>,
}

/// What a program left behind that ran to its end.
#[derive(Clone)]
pub struct Finished {
    /// The program, for messages.
    pub name: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote.
    pub stdout: Vec<u8>,
    /// What it complained about.
    pub stderr: Vec<u8>,
}

impl Running {
    /// Starts a program.
    ///
    /// # Panics
    /// When it is not installed.
    #[must_use]
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        Self::start_with_input(command, Stdio::piped())
    }

    /// Starts a program that reads its standard input from elsewhere, such as a file.
    ///
    /// # Panics
    /// When it is not installed.
    #[must_use]
    #[track_caller]
    pub fn start_with_input(command: &mut Command, input: impl Into<Stdio>) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that children of it end with it.
            .process_group(0);
        let mut process = command.spawn().unwrap_or_else(|error| {
            panic!(
                "{name} cannot be started ({error}); `cargo xtask tools` installs what is missing"
            )
        });
        let (stdout, stderr) = (Arc::default(), Arc::default());
        let (sender, lines) = channel();
        let out = process.stdout.take().expect("piped");
        let err = process.stderr.take().expect("piped");
        let reading = vec![
            collect(out, Arc::clone(&stdout), move |line| {
                // Nobody has to listen.
                let _ = sender.send(line);
            }),
            collect(err, Arc::clone(&stderr), drop),
        ];
        Self {
            name,
            input: process.stdin.take(),
            process,
            lines,
            stdout,
            stderr,
            reading,
        }
    }

    /// Waits for the next line on its standard output.
    ///
    /// # Panics
    /// When it ends first, or none comes in time.
    #[track_caller]
    pub fn line(&self) -> String {
        match self.lines.recv_timeout(TOOL_LIMIT) {
            Ok(line) => line,
            Err(error) => panic!("no further line of {}: {error}\n{self:?}", self.name),
        }
    }

    /// Waits for a line that begins so, and gives back the rest of it.
    ///
    /// # Panics
    /// When it ends first, or none comes in time.
    #[track_caller]
    pub fn line_after(&self, beginning: &str) -> String {
        loop {
            if let Some(rest) = self.line().strip_prefix(beginning) {
                return rest.to_owned();
            }
        }
    }

    /// Writes a line to its standard input.
    ///
    /// # Panics
    /// When it is gone.
    #[track_caller]
    pub fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("its input is open");
        writeln!(input, "{line}").expect("it reads its input");
    }

    /// Closes its standard input and waits for its end.
    ///
    /// # Panics
    /// When it does not end in time.
    #[must_use]
    #[track_caller]
    pub fn finish(self) -> Finished {
        self.finish_within(TOOL_LIMIT)
    }

    /// The same for a program that has more to do than a tool, and so another limit.
    ///
    /// # Panics
    /// When it does not end in time.
    #[must_use]
    #[track_caller]
    pub fn finish_within(mut self, limit: Duration) -> Finished {
        drop(self.input.take());
        let until = Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("{} does not end\n{self:?}", self.name),
            }
        }
        let status = self.process.wait().expect("the child is ours");
        for thread in self.reading.drain(..) {
            thread.join().expect("it only reads");
        }
        Finished {
            name: self.name.clone(),
            status,
            stdout: std::mem::take(&mut *lock(&self.stdout)),
            stderr: std::mem::take(&mut *lock(&self.stderr)),
        }
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it was waited for already.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("nobody else waits for the process");
    }

    /// How it ended, if it has.
    ///
    /// # Panics
    /// Never: the child is ours.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().expect("the child is ours")
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// What it complained about so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&lock(&self.stderr)).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.process.wait();
        if thread::panicking() {
            eprintln!("---- {self:?}");
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_both(f, &self.name, &lock(&self.stdout), &lock(&self.stderr))
    }
}

impl Finished {
    /// Demands that it ended well.
    ///
    /// # Panics
    /// When it did not; what it wrote is in the text.
    #[must_use]
    #[track_caller]
    pub fn success(self) -> Self {
        assert!(self.status.success(), "{} failed: {self:?}", self.name);
        self
    }

    /// What it wrote, as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// What it wrote, as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        match serde_json::from_slice(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("{error}: {self:?}"),
        }
    }

    /// What it complained about, as text.
    #[must_use]
    pub fn complaints(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.status)?;
        write_both(f, &self.name, &self.stdout, &self.stderr)
    }
}

/// Runs a program to its end.
///
/// # Panics
/// When it is not installed, or does not end in time.
#[must_use]
#[track_caller]
pub fn run(command: &mut Command) -> Finished {
    Running::start(command).finish()
}

/// Reads a pipe to its end, so that its writer never waits for us, and passes on each line.
fn collect(
    pipe: impl Read + Send + 'static,
    into: Arc<Mutex<Vec<u8>>>,
    mut on_line: impl FnMut(String) + Send + 'static,
) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        loop {
            let mut line = Vec::new();
            match reader.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {
                    lock(&into).extend_from_slice(&line);
                    let text = String::from_utf8_lossy(&line);
                    on_line(text.trim_end_matches(['\n', '\r']).to_owned());
                }
            }
        }
    })
}

fn write_both(f: &mut fmt::Formatter<'_>, name: &str, stdout: &[u8], stderr: &[u8]) -> fmt::Result {
    let (stdout, stderr) = (
        String::from_utf8_lossy(stdout),
        String::from_utf8_lossy(stderr),
    );
    write!(f, "{name} wrote:\n{stdout}\nand complained:\n{stderr}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_with_a_program_and_waits_for_its_end() {
        let mut cat = Running::start(&mut Command::new("cat"));
        cat.say("one");
        assert_eq!(cat.line(), "one");
        cat.say("skipped");
        cat.say("two 2");
        assert_eq!(cat.line_after("two "), "2");
        assert_eq!(cat.finish().success().text(), "one\nskipped\ntwo 2\n");
    }

    #[test]
    fn what_a_program_started_ends_with_it() {
        let mut shell = Command::new("sh");
        let shell = Running::start(shell.args(["-c", "sleep 1000 & echo $!; wait"]));
        let sleeper: u32 = shell.line().parse().unwrap();
        assert!(crate::process::is_alive(sleeper));
        drop(shell);
        crate::eventually!(!crate::process::is_alive(sleeper));
    }
}
