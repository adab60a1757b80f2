//! An upgrade without a supervising process: the one that serves starts the one that takes over.

use std::ffi::OsString;
use std::time::Duration;

use super::binder::Binder;
use super::origin::Origin;
use super::turn::Turn;
use super::upgrade::{Standing, Who};

/// What an upgrade begins with.
pub struct Attempt {
    /// What to start.
    pub origin: Origin,
    /// Variables for it alone.
    pub variables: Vec<(&'static str, OsString)>,
    /// What it gets.
    pub binder: Binder,
    /// With how many workers this process serves.
    pub workers: usize,
    /// How long it may take.
    pub limit: Duration,
    /// How upgrades went until now, this one included.
    pub standing: Standing,
    /// Whether it is the turn of the new process.
    pub turn: Turn,
}

/// Who serves now, and what it did not take over.
pub struct Served {
    /// The process.
    pub who: Who,
    /// Keys of listeners.
    pub gone: Vec<String>,
}

/// Starts the new process and waits until it serves. Dropped before that, it ends the new process.
///
/// # Errors
/// Why it does not serve, in one sentence.
#[cfg(target_os = "linux")]
pub async fn start(attempt: Attempt) -> Result<Served, String> {
    use super::origin::SUCCESSOR;
    use super::process::Plan;
    use super::takeover::take_over;
    use super::wire::{Begin, Hello};

    let Origin { exe, mut args } = attempt.origin;
    args.push(SUCCESSOR.into());
    let plan = Plan {
        exe,
        file: None,
        args,
        variables: attempt.variables,
        apart: false,
    };
    let kept = attempt.binder.copies();
    let kept = kept.map_err(|error| format!("no copies can be made of the sockets: {error}"))?;
    let begin = Begin {
        served: 0,
        workers: Some(attempt.workers),
        reports: Vec::new(),
        replaces: Some(Hello::own()),
        standing: attempt.standing,
    };
    let taken = take_over(plan, kept, begin, attempt.limit, attempt.turn).await?;
    let id = taken.process.id().unwrap_or_default();
    let who = taken.process.who.as_ref().map(Who::from);
    Ok(Served {
        who: who.unwrap_or(Who {
            pid: id,
            version: String::new(),
        }),
        gone: taken.gone,
    })
}

/// Says that there are no upgrades here.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub async fn start(_: Attempt) -> Result<Served, String> {
    Err("upgrades are there for Linux only; restart the gateway".to_owned())
}
