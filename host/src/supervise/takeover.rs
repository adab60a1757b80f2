//! Having a new process take over, up to the moment at which it serves. Until then the old one knows nothing of it.
//!
//! Two steps keep what the new one accepts from being lost: it does everything that can fail first, says that it is ready,
//! and accepts only when it is told that it is its turn, which it takes then. Until it has, it can be taken back.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::time::Instant;

use super::kept::Kept;
use super::process::{Plan, Process};
use super::turn::Turn;
use super::wire::{Begin, Said};
use crate::fault::report::Report;

/// How long a process takes at most from its turn until it takes it, from then until it serves, and from silence until it
/// ends.
const TURN: Duration = Duration::from_secs(15);

/// A process that serves now.
#[derive(Debug)]
pub struct Taken {
    /// The process.
    pub process: Process,
    /// With so many workers.
    pub workers: usize,
    /// What it did not take over.
    pub gone: Vec<String>,
    /// It wrote down the reports it was given.
    pub noted: bool,
}

/// Starts a process and waits until it serves.
///
/// # Errors
/// Why it does not, in one sentence; it is gone then.
pub async fn take_over(
    plan: Plan,
    kept: Kept,
    begin: Begin,
    limit: Duration,
    turn: Turn,
) -> Result<Taken, String> {
    let exe = plan.exe.display().to_string();
    let process = Process::start(&plan, kept, begin)
        .map_err(|error| format!("{exe} cannot be started: {error}"))?;
    let mut newcomer = Newcomer {
        process,
        noted: false,
        why: None,
    };
    match newcomer.take_over(&turn, limit).await {
        Ok((workers, gone)) => Ok(Taken {
            process: newcomer.process,
            workers,
            gone,
            noted: newcomer.noted,
        }),
        Err(why) => {
            if turn.take_back() {
                newcomer.process.end().await;
            }
            Err(why)
        }
    }
}

struct Newcomer {
    process: Process,
    noted: bool,
    /// Why it will not serve, as it said itself.
    why: Option<String>,
}

impl Newcomer {
    /// Until it serves: with how many workers, and what it did not take over.
    async fn take_over(
        &mut self,
        turn: &Turn,
        limit: Duration,
    ) -> Result<(usize, Vec<String>), String> {
        tokio::time::timeout(limit, self.until_ready())
            .await
            .unwrap_or_else(|_| Err(format!("the new process was not ready within {limit:?}")))?;
        let number = self.process.id().unwrap_or_default();
        tracing::info!(target: "control", "upgrade: process {number} is ready, and it is its turn");
        let given = self.process.give_turn(turn);
        given.map_err(|error| format!("the new process cannot be given its turn: {error}"))?;
        self.until_it_serves(turn, limit.min(TURN)).await
    }

    async fn until_ready(&mut self) -> Result<(), String> {
        loop {
            match self.process.said().await {
                Some(Said::Ready) => return Ok(()),
                Some(said) => self.hear(said)?,
                None => return Err(self.end().await),
            }
        }
    }

    /// One that does not take its turn in time never gets it. Once it has it, it is waited for without limit: it may have
    /// accepted connections, which would end with it, and this process serves on meanwhile.
    async fn until_it_serves(
        &mut self,
        turn: &Turn,
        patience: Duration,
    ) -> Result<(usize, Vec<String>), String> {
        let mut until = Instant::now() + patience;
        loop {
            let Ok(said) = tokio::time::timeout_at(until, self.process.said()).await else {
                if turn.take_back() {
                    return Err(format!(
                        "the new process was ready and did not take its turn within {patience:?}"
                    ));
                }
                until = Instant::now() + TURN;
                tracing::warn!(target: "control", "the new process was told to serve and has not said yet that it does; it may serve already, so it is waited for");
                continue;
            };
            match said {
                Some(Said::Serving { workers, gone }) => return Ok((workers, gone)),
                Some(said) => self.hear(said)?,
                None => return Err(self.end().await),
            }
        }
    }

    fn hear(&mut self, said: Said) -> Result<(), String> {
        match said {
            Said::Hello(who) => who.refusal().map_or(Ok(()), Err),
            Said::Noted => {
                self.noted = true;
                Ok(())
            }
            Said::Fails(why) => {
                self.why = Some(why);
                Ok(())
            }
            Said::Crashed(report) => {
                self.why = Some(report.to_string());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Why it is not there any more.
    async fn end(&mut self) -> String {
        // It may have closed its end and live on; it was told nothing, so that nothing is lost.
        let status = tokio::time::timeout(TURN, self.process.wait()).await;
        let ended = match status {
            Ok(Ok(status)) => ended(status),
            _ => "fell silent".to_owned(),
        };
        match self.why.take() {
            Some(why) => format!("the new process {ended}: {why}"),
            None => format!("the new process {ended} before it served; its log says more"),
        }
    }
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => {
            let report = Report {
                signal,
                ..Report::default()
            };
            format!("was ended by {}", report.signal_name())
        }
        (None, None) => "ended".to_owned(),
    }
}
