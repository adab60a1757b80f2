//! What the process at the other end says while this one runs.

use std::future::pending;
use std::os::fd::OwnedFd;
use std::sync::PoisonError;
use std::sync::mpsc::Sender;

use tokio::sync::watch;

use super::{Link, Token};
use crate::supervise::upgrade::Standing;
use crate::supervise::wire::{self, Told};

/// What the other side said so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) asked: Asked,
    /// It is this process's turn.
    pub(super) go: bool,
    pub(super) standing: Standing,
    /// Another process accepts; what it did not take over.
    pub(super) replaced: Option<Vec<String>>,
}

/// What the parent asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    #[default]
    Nothing,
    /// To drain and end.
    End,
    /// To end without waiting.
    Now,
}

impl Link {
    /// How upgrades go, as far as it is known.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.heard.borrow().standing.clone()
    }

    /// Waits until more is known of it.
    pub async fn standing_changed(&self, known: &Standing) -> Standing {
        let mut heard = self.heard.clone();
        let changed = heard.wait_for(|heard| heard.standing != *known).await;
        match changed.map(|heard| heard.standing.clone()) {
            Ok(standing) => standing,
            Err(_) => pending().await,
        }
    }

    /// Waits until another process accepts; what that one did not take over.
    pub async fn replaced(&self) -> Vec<String> {
        let mut heard = self.heard.clone();
        let replaced = heard.wait_for(|heard| heard.replaced.is_some()).await;
        match replaced.map(|heard| heard.replaced.clone()) {
            Ok(Some(gone)) => gone,
            _ => pending().await,
        }
    }

    /// Waits until the parent asks for the end, or is gone itself; says which.
    pub async fn end(&self) -> &'static str {
        let mut heard = self.heard.clone();
        let asked = heard.wait_for(|heard| heard.asked >= Asked::End).await;
        match asked {
            Ok(_) => "the supervising process",
            Err(_) => "the end of the supervising process",
        }
    }

    /// Waits until the parent asks for the end at once. One that is gone asks for nothing.
    pub async fn end_now(&self) {
        let mut heard = self.heard.clone();
        let asked = heard.wait_for(|heard| heard.asked == Asked::Now).await;
        if asked.is_err() {
            pending::<()>().await;
        }
    }

    /// Whether the parent is gone.
    #[must_use]
    pub fn is_orphan(&self) -> bool {
        self.heard.has_changed().is_err()
    }
}

/// Until the other side is gone; `told` ends with it, which says so.
pub(super) fn listen(
    socket: &OwnedFd,
    answered: &Sender<u64>,
    told: &watch::Sender<Heard>,
    given: &Token,
) {
    while let Ok(Some((packet, sockets))) = wire::receive(socket) {
        let Ok(packet) = serde_json::from_slice(&packet) else {
            continue;
        };
        match packet {
            Told::Done(question) => {
                let _ = answered.send(question);
            }
            Told::End { now } => {
                let asked = if now { Asked::Now } else { Asked::End };
                told.send_modify(|heard| heard.asked = asked);
            }
            Told::Go => {
                let mut given = given.lock().unwrap_or_else(PoisonError::into_inner);
                *given = sockets.into_iter().next();
                drop(given);
                told.send_modify(|heard| heard.go = true);
            }
            Told::Upgrade(standing) => told.send_modify(|heard| heard.standing = *standing),
            Told::Replaced { gone } => told.send_modify(|heard| heard.replaced = Some(gone)),
            Told::Hello(_) | Told::Sockets(_) | Told::Begin(_) => {}
        }
    }
}
