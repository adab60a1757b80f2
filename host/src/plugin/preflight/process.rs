//! One child: how it is started, heard and ended, with everything that it started itself.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use super::Preflight;
use super::protocol::{At, Line, Report, Request};
use crate::plugin::fit::Fit;
use crate::plugin::inspect::Unload;
use crate::plugin::refusal::{KILLED, Reason};

/// Memory a child may have for data; a plugin that needs more at rest would be too large for a gateway anyway.
const DATA_LIMIT: u64 = 2 << 30;
/// Bytes of a child's standard error kept for the message.
const SAID_LIMIT: usize = 2048;
/// How often a child that said its last word is looked at: the system has no event that leaves it to be waited for.
const POLL: Duration = Duration::from_millis(2);
/// Bytes a child may say in all.
const REPORT_LIMIT: u64 = 16 << 20;

impl Preflight {
    /// Runs one child with these configurations.
    pub(super) async fn child(&self, fit: &Fit, configs: Vec<String>) -> Result<Run, Reason> {
        let identity = fit.identity();
        // The limit holds for the whole child, which tries the configurations one after the other.
        let tries = u64::try_from(configs.len().max(1)).unwrap_or(u64::MAX);
        let step = self.timeout.as_secs().saturating_mul(2).max(10);
        let request = Request {
            path: fit.staged.path.clone(),
            id: identity.id,
            version: identity.version,
            digest: identity.digest,
            door: fit.door,
            unmap: fit.inspected.unload == Unload::Allowed,
            configs,
            cpu_seconds: step.saturating_mul(tries),
            data_bytes: DATA_LIMIT,
        };
        let broken = |error: &dyn std::fmt::Display| Reason::PreflightBroken {
            error: error.to_string(),
        };
        let text = serde_json::to_vec(&request).map_err(|error| broken(&error))?;
        let mut child = self.spawn().map_err(|error| broken(&error))?;
        let mut group = Group(child.id());
        let said = tokio::spawn(tail(child.stderr.take()));
        if let Some(mut stdin) = child.stdin.take() {
            // A child that died before it read everything says why below.
            let _ = tokio::time::timeout(self.timeout, stdin.write_all(&text)).await;
        }
        let mut run = Run::default();
        let in_time = self.listen(&mut child, &mut run).await;
        let in_time = in_time && (run.ended() || group.ends(self.timeout).await);
        // Whatever the plugin started of its own goes with it, and lets go of the pipes. Before the child is waited
        // for: from then on its number, which names the group as well, may be given to somebody else.
        group.kill();
        let status = tokio::time::timeout(self.timeout, child.wait()).await;
        let said = tokio::time::timeout(Duration::from_secs(2), said).await;
        let said = match said {
            Ok(Ok(said)) if !said.is_empty() => format!(", saying {said:?}"),
            _ => String::new(),
        };
        if !run.ended() {
            run.end = End::Died(match status {
                Ok(Ok(status)) if in_time => died(&run.at, status, said),
                Ok(Err(error)) => broken(&error),
                Ok(Ok(_)) | Err(_) => Reason::TimedOut {
                    at: run.at.what.clone(),
                    seconds: self.timeout.as_secs(),
                    said,
                },
            });
        }
        Ok(run)
    }

    fn spawn(&self) -> std::io::Result<Child> {
        let mut command = Command::new(&self.exe);
        command
            .args(&self.args)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        // The only variable that decides whether the library can be loaded at all; no secret stands in it.
        if let Some(path) = std::env::var_os("LD_LIBRARY_PATH") {
            command.env("LD_LIBRARY_PATH", path);
        }
        command.spawn()
    }

    /// Reads what the child says until it ends or is silent for too long.
    async fn listen(&self, child: &mut Child, run: &mut Run) -> bool {
        let Some(stdout) = child.stdout.take() else {
            return true;
        };
        let mut lines = BufReader::new(stdout.take(REPORT_LIMIT)).lines();
        loop {
            match tokio::time::timeout(self.timeout, lines.next_line()).await {
                Err(_) => return run.ended(),
                Ok(Ok(Some(line))) => run.hear(&line),
                Ok(Ok(None) | Err(_)) => return true,
            }
            if run.ended() {
                return true;
            }
        }
    }
}

/// What one child did.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) at: At,
    pub(super) configs: Vec<(usize, Option<Reason>)>,
    pub(super) end: End,
}

/// How a child came to its end.
#[derive(Debug)]
pub(super) enum End {
    Done(Report),
    Refused(Reason),
    Died(Reason),
}

impl Default for Run {
    fn default() -> Self {
        Self {
            at: At {
                what: "the start of the child".to_owned(),
                config: None,
            },
            configs: Vec::new(),
            end: End::Died(Reason::PreflightBroken {
                error: "the child said nothing".to_owned(),
            }),
        }
    }
}

impl Run {
    fn hear(&mut self, line: &str) {
        // Anything else is not ours: an executable that is not the gateway, or noise before the channel was there.
        let Ok(line) = serde_json::from_str::<Line>(line) else {
            return;
        };
        match line {
            Line::At(at) => self.at = at,
            Line::Config { index, refused } => self.configs.push((index, refused)),
            Line::Refused(reason) => self.end = End::Refused(reason),
            Line::Done(report) => self.end = End::Done(report),
        }
    }

    fn ended(&self) -> bool {
        !matches!(self.end, End::Died(_))
    }
}

fn died(at: &At, status: ExitStatus, said: String) -> Reason {
    use std::os::unix::process::ExitStatusExt;
    if at.what == Run::default().at.what {
        return Reason::PreflightBroken {
            error: format!("the child ended with {status} before it began{said}"),
        };
    }
    let how = match (status.signal(), status.code()) {
        (Some(signal), _) => signal_name(signal),
        (None, code) => format!("it ended the process with code {}", code.unwrap_or(-1)),
    };
    Reason::Crashed {
        at: at.what.clone(),
        how,
        said,
    }
}

fn signal_name(signal: i32) -> String {
    match signal {
        libc::SIGSEGV => "SIGSEGV".to_owned(),
        libc::SIGABRT => "SIGABRT".to_owned(),
        libc::SIGBUS => "SIGBUS".to_owned(),
        libc::SIGILL => "SIGILL".to_owned(),
        libc::SIGFPE => "SIGFPE".to_owned(),
        libc::SIGTRAP => "SIGTRAP".to_owned(),
        libc::SIGKILL => KILLED.to_owned(),
        libc::SIGXCPU => "SIGXCPU, too much processor time".to_owned(),
        other => format!("signal {other}"),
    }
}

/// The process group of a child.
struct Group(Option<u32>);

impl Group {
    /// Ends the group, once: later the number may be somebody else's.
    fn kill(&mut self) {
        let pid = self.pid();
        self.0 = None;
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }

    /// Waits until the child has ended, and leaves it to be waited for. False: it has not.
    async fn ends(&self, limit: Duration) -> bool {
        use rustix::process::{WaitId, WaitIdOptions, waitid};
        let Some(pid) = self.pid() else {
            return true;
        };
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let ended = async {
            while let Ok(None) = waitid(WaitId::Pid(pid), look) {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(limit, ended).await.is_ok()
    }

    fn pid(&self) -> Option<rustix::process::Pid> {
        let pid = self.0.and_then(|pid| i32::try_from(pid).ok());
        pid.and_then(rustix::process::Pid::from_raw)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The end of what a child writes to standard error, in one line.
async fn tail(stderr: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let mut kept: Vec<u8> = Vec::new();
    let mut piece = [0_u8; 1024];
    let Some(mut stderr) = stderr else {
        return String::new();
    };
    while let Ok(count @ 1..) = stderr.read(&mut piece).await {
        kept.extend(piece.iter().take(count));
        let over = kept.len().saturating_sub(SAID_LIMIT);
        kept.drain(..over);
    }
    let text = String::from_utf8_lossy(&kept);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
