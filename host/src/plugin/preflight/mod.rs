//! Tries a plugin in a throw-away child before it comes near the serving process.
//!
//! The gateway starts itself again, with limits and without its environment, and hands over the plugin and every
//! configuration in use. A file that crashes or hangs costs a refusal; a configuration that does so costs only itself:
//! the child is started again with the rest.

pub mod child;
mod handover;
mod protocol;
pub mod schema;
mod verdicts;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::plugin::config_hash::ConfigHash;
use crate::plugin::fit::Fit;
use crate::plugin::inspect::Unload;
use crate::plugin::refusal::{KILLED, Reason, Refusal, Step};

pub use protocol::Report;
use protocol::{At, Line, Request};
pub use verdicts::Verdicts;

/// Memory a child may have for data; a plugin that needs more at rest would be too large for a gateway anyway.
const DATA_LIMIT: u64 = 2 << 30;
/// Bytes of a child's standard error kept for the message.
const SAID_LIMIT: usize = 2048;
/// How often a child that said its last word is looked at: the system has no event that leaves it to be waited for.
const POLL: Duration = Duration::from_millis(2);
/// Bytes a child may say in all.
const REPORT_LIMIT: u64 = 16 << 20;

/// How children are started.
#[derive(Debug, Clone)]
pub struct Preflight {
    /// The gateway's own executable.
    pub exe: PathBuf,
    /// What makes it a child.
    pub args: Vec<OsString>,
    /// How long one step of a child may take.
    pub timeout: Duration,
}

/// What became of a plugin and its configurations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What the plugin turned out to be.
    pub report: Report,
    /// For each configuration, in the order given: why it cannot be used.
    pub configs: Vec<Result<(), Refusal>>,
}

impl Verdict {
    /// The same with every text of the plugin passed through `hide`.
    pub(super) fn hiding(mut self, hide: impl Fn(&str) -> String) -> Self {
        for note in &mut self.report.notes {
            *note = hide(note);
        }
        let hidden = self.configs.into_iter();
        self.configs = hidden
            .map(|outcome| outcome.map_err(|refusal| refusal.hiding(&hide)))
            .collect();
        self
    }
}

impl Preflight {
    /// Starts `exe` with the hidden command `preflight`.
    #[must_use]
    pub fn new(exe: &Path, timeout: Duration) -> Self {
        Self {
            exe: exe.to_owned(),
            args: vec![OsString::from("preflight")],
            timeout,
        }
    }

    /// Tries `fit` with every configuration that `verdicts` does not know to have passed before.
    ///
    /// # Errors
    /// The file is unfit, or the child could not be run. A configuration that is unfit is no error of the file: it is
    /// told in the verdict.
    pub async fn run(
        &self,
        fit: &Fit,
        configs: &[&str],
        verdicts: &Verdicts,
    ) -> Result<Verdict, Refusal> {
        let hash = |config: &str| ConfigHash::of(fit.digest(), config);
        let known = verdicts.find(fit);
        let is_new = |config: &&str| {
            let known = known.as_ref();
            !known.is_some_and(|known| known.passed(hash(config)))
        };
        let new: Vec<&str> = configs.iter().copied().filter(is_new).collect();
        if let Some(known) = known.as_ref().filter(|_| new.is_empty()) {
            return Ok(Verdict {
                report: known.report.clone(),
                configs: configs.iter().map(|_| Ok(())).collect(),
            });
        }
        let tried = self.every(fit, &new).await?;
        let good = new.iter().zip(&tried.configs);
        let good = good.filter(|(_, outcome)| outcome.is_ok());
        verdicts.keep(fit, &tried.report, good.map(|(config, _)| hash(config)));
        let mut outcomes = tried.configs.into_iter();
        let mut outcome = |config: &&str| {
            let tried = is_new(config).then(|| outcomes.next()).flatten();
            tried.unwrap_or(Ok(()))
        };
        Ok(Verdict {
            report: tried.report,
            configs: configs.iter().map(&mut outcome).collect(),
        })
    }

    /// Runs children until every configuration was tried: one that kills a child is left out of the next.
    async fn every(&self, fit: &Fit, configs: &[&str]) -> Result<Verdict, Refusal> {
        let refuse = |reason| fit.refuse(Step::Preflight, reason);
        let mut outcomes: Vec<Option<Result<(), Refusal>>> = vec![None; configs.len()];
        loop {
            let left: Vec<usize> = (0..configs.len())
                .filter(|index| outcomes.get(*index).is_some_and(Option::is_none))
                .collect();
            let texts = left
                .iter()
                .filter_map(|index| configs.get(*index))
                .map(|config| (*config).to_owned())
                .collect();
            let run = self.child(fit, texts).await.map_err(refuse)?;
            let mut set = |index: usize, outcome: Option<Reason>| {
                let place = left.get(index).and_then(|index| outcomes.get_mut(*index));
                if let Some(place) = place {
                    *place = Some(
                        outcome.map_or(Ok(()), |reason| Err(fit.refuse(Step::Configure, reason))),
                    );
                }
            };
            for (index, refused) in run.configs {
                set(index, refused);
            }
            match (run.end, run.at.config) {
                (End::Done(report), _) => {
                    return Ok(Verdict {
                        report,
                        configs: outcomes
                            .into_iter()
                            .map(|outcome| outcome.unwrap_or(Ok(())))
                            .collect(),
                    });
                }
                (End::Died(reason), Some(index)) if index < left.len() => set(index, Some(reason)),
                (End::Died(reason) | End::Refused(reason), _) => return Err(refuse(reason)),
            }
        }
    }

    async fn child(&self, fit: &Fit, configs: Vec<String>) -> Result<Run, Reason> {
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
struct Run {
    at: At,
    configs: Vec<(usize, Option<Reason>)>,
    end: End,
}

#[derive(Debug)]
enum End {
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

#[cfg(test)]
pub(super) mod tests;
