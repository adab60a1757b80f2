//! An upgrade as seen by the process that serves: it begins one, or passes the wish on to the process that supervises it, and
//! hears how it ends.

use std::future::pending;
use std::pin::Pin;

use crate::control::apply::Control;
use crate::control::status::Board;
use crate::life::notify::Notifier;
use crate::supervise::link::Link;
use crate::supervise::origin::Origin;
use crate::supervise::successor::{Served, start};
use crate::supervise::upgrade::{Turn, Who};

type Running = Pin<Box<dyn Future<Output = Result<Served, String>>>>;

/// The upgrade that is under way, if one is.
pub(crate) struct Upgrading<'a> {
    origin: &'a Origin,
    parent: Option<&'a Link>,
    notifier: &'a Notifier,
    running: Option<Running>,
    /// Of that one: whether the new process may accept already.
    turn: Turn,
}

impl<'a> Upgrading<'a> {
    /// None is under way.
    pub(crate) fn new(
        origin: &'a Origin,
        parent: Option<&'a Link>,
        notifier: &'a Notifier,
    ) -> Self {
        Self {
            origin,
            parent,
            notifier,
            running: None,
            turn: Turn::default(),
        }
    }

    /// Begins one, unless one is under way.
    pub(crate) fn begin(&mut self, control: &Control) {
        if self.is_under_way(&control.board) {
            tracing::warn!(target: "control", "an upgrade is under way already; wait for its outcome, which the log and /status tell");
            return;
        }
        if let Some(parent) = self.parent {
            tracing::info!(target: "control", "an upgrade was asked for here; the supervising process makes it");
            return parent.ask_for_upgrade();
        }
        let standing = control.board.update(|status| {
            status.upgrade.begins();
            status.upgrade.clone()
        });
        self.turn = Turn::default();
        let exe = self.origin.exe.display();
        tracing::info!(target: "control", "upgrade: starting {exe}, this process serves on until that one does");
        let attempt = control.upgrade(self.origin, self.notifier, &standing, self.turn.clone());
        self.running = Some(Box::pin(start(attempt)));
    }

    /// Whether one is under way, here or in the supervising process.
    pub(crate) fn is_under_way(&self, board: &Board) -> bool {
        self.running.is_some() || board.read(|status| status.upgrade.is_under_way())
    }

    /// This process is to end. With a new one whose turn it is already: waits how that goes on, as [`Upgrading::replaced`]
    /// does; another one is given up, and ended.
    pub(crate) async fn settle(&mut self, board: &Board, why: &str) -> Option<Vec<String>> {
        self.running.as_ref()?;
        if self.turn.came() {
            return self.replaced(board).await;
        }
        self.running = None;
        let why = format!("given up: {why}");
        board.update(|status| status.upgrade.ends(Who::own(), Err(why)));
        None
    }

    /// Waits until one ends. With the process that serves: what that did not take over. Without: none.
    pub(crate) async fn replaced(&mut self, board: &Board) -> Option<Vec<String>> {
        let ended = match (&mut self.running, self.parent) {
            (Some(running), _) => running.as_mut().await,
            (None, Some(parent)) => return self.told(parent, board).await,
            (None, None) => pending().await,
        };
        self.running = None;
        match ended {
            Ok(Served { who, gone }) => {
                // The one place where it is known that the new process serves.
                self.notifier.main_pid(who.pid);
                tracing::info!(target: "control", pid = who.pid, version = who.version, "upgrade: process {} serves, swapgate {}", who.pid, who.version);
                board.update(|status| status.upgrade.ends(Who::own(), Ok(who)));
                Some(gone)
            }
            Err(why) => {
                tracing::error!(target: "control", "upgrade refused, this process serves on: {why}");
                board.update(|status| status.upgrade.ends(Who::own(), Err(why)));
                None
            }
        }
    }

    /// What the supervising process says of it.
    async fn told(&self, parent: &Link, board: &Board) -> Option<Vec<String>> {
        let known = board.read(|status| status.upgrade.clone());
        tokio::select! {
            biased;
            gone = parent.replaced() => Some(gone),
            standing = parent.standing_changed(&known) => {
                board.update(|status| status.upgrade = standing);
                None
            }
        }
    }
}
