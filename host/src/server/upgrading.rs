//! An upgrade as seen by the process that serves: it begins one, or passes the wish on to the process that supervises it, and
//! hears how it ends.

use std::future::pending;
use std::pin::Pin;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::control::apply::Control;
use crate::control::events::Event;
use crate::control::status::Board;
use crate::life::notify::Notifier;
use crate::supervise::link::Link;
use crate::supervise::origin::Origin;
use crate::supervise::successor::{Served, start};
use crate::supervise::turn::Turn;
use crate::supervise::upgrade::{GATEWAY_ENDS, Standing, Who};

type Running = Pin<Box<dyn Future<Output = Result<Served, String>>>>;

/// The upgrade that is under way, if one is.
pub(crate) struct Upgrading<'a> {
    origin: &'a Origin,
    parent: Option<&'a Link>,
    notifier: &'a Notifier,
    running: Option<Running>,
    /// Of that one: whether the new process may accept already.
    turn: Turn,
    /// What this heard of those that the supervising process makes.
    known: Standing,
}

/// Shows how the upgrades go that the supervising process makes, for as long as this process has something to show: it may
/// be asked for one while it starts or drains as well.
pub(crate) async fn follow(link: &Link, board: &Board) {
    let mut known = link.standing();
    loop {
        let shown = known.clone();
        board.update(|status| status.upgrade = shown);
        known = link.standing_changed(&known).await;
    }
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
            known: parent.map(Link::standing).unwrap_or_default(),
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

    /// This process is to end. With a new one that took its turn: waits how that goes on, as [`Upgrading::replaced`]
    /// does; another one is given up, and ended.
    pub(crate) async fn settle(&mut self, board: &Board, why: &str) -> Option<Vec<String>> {
        self.running.as_ref()?;
        if !self.turn.take_back() {
            tracing::info!(target: "control", "waiting for the new process, whose turn it is; another signal ends it as well");
            return self.replaced(board).await;
        }
        self.give_up(board, why);
        None
    }

    /// Ends the new process, also one that took its turn.
    pub(crate) fn give_up(&mut self, board: &Board, why: &str) {
        self.turn.revoke();
        self.running = None;
        let why = format!("given up: {why}");
        board.update(|status| status.upgrade.ends(Who::own(), Err(why)));
    }

    /// Waits until one ends. With the process that serves: what that did not take over. Without: none.
    pub(crate) async fn replaced(&mut self, board: &Board) -> Option<Vec<String>> {
        let ended = match (&mut self.running, self.parent) {
            (Some(running), _) => running.as_mut().await,
            (None, Some(parent)) => return self.told(parent).await,
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
    async fn told(&mut self, parent: &Link) -> Option<Vec<String>> {
        tokio::select! {
            biased;
            gone = parent.replaced() => Some(gone),
            standing = parent.standing_changed(&self.known) => {
                self.known = standing;
                None
            }
        }
    }

    /// While this process drains: begins none any more, and says why to whoever asks. Never ends.
    pub(crate) async fn refuse(
        &self,
        board: &Board,
        seen: &mut UnboundedReceiver<Event>,
        replaced: bool,
    ) {
        while let Some(event) = seen.recv().await {
            match (event, self.parent) {
                // It knows that this one ends, or that another one serves.
                (Event::Upgrade, Some(parent)) => parent.ask_for_upgrade(),
                (Event::Upgrade, None) if replaced => {
                    tracing::warn!(target: "control", "no upgrade, because another process serves; ask that one");
                }
                (Event::Upgrade, None) => {
                    tracing::warn!(target: "control", "no upgrade, because {GATEWAY_ENDS}");
                    board.update(|status| status.upgrade.is_refused(Who::own(), GATEWAY_ENDS));
                }
                _ => {}
            }
        }
        pending::<()>().await;
    }
}
