//! Upgrades, as the supervising process makes them: another child takes over while the one that serves goes on.

use std::pin::Pin;
use std::time::Instant;

use super::leaving::leave;
use super::signals::Signals;
use super::{Parent, Serving};
use crate::supervise::takeover::{Taken, take_over};
use crate::supervise::turn::Turn;
use crate::supervise::upgrade::{GATEWAY_ENDS, Who};
use crate::supervise::wire::Told;

/// An upgrade that is under way.
pub(super) struct Running {
    pub(super) taken: Pin<Box<dyn Future<Output = Result<Taken, String>>>>,
    turn: Turn,
}

impl Parent {
    /// Has what lies under the name of the executable now take over, unless that is under way or all ends.
    pub(super) fn upgrade(&mut self, running: &mut Serving) {
        if self.upgrading.is_some() {
            tracing::warn!(target: "supervisor", "an upgrade is under way already; wait for its outcome, which the log and /status tell");
            return;
        }
        if *self.stops.borrow() > 0 || running.ends {
            return self.refuse(running, GATEWAY_ENDS);
        }
        let Some(who) = running.process.who.clone().filter(|_| self.served > 0) else {
            return self.refuse(running, "nothing serves yet; ask again when it does");
        };
        self.standing.begins();
        let exe = self.exe.display();
        tracing::info!(target: "supervisor", "upgrade: starting {exe}, process {} serves on until that one does", who.pid);
        let kept = match running.process.kept.try_clone() {
            Ok(kept) => kept,
            Err(error) => {
                let why = format!("no copies can be made of the sockets: {error}");
                return self.upgraded(running, Err(why));
            }
        };
        // Opened by this process: nobody else has a say in what is started again after a crash.
        let plan = match self.plan.of(self.exe.clone()) {
            Ok(plan) => plan,
            Err(error) => {
                let why = format!("{} cannot be started: {error}", self.exe.display());
                return self.upgraded(running, Err(why));
            }
        };
        self.next = Some(plan.clone());
        let begin = self.begin(Some(who));
        running.given = self.reports.len();
        let turn = Turn::default();
        let taken = take_over(plan, kept, begin, self.limit, turn.clone());
        self.upgrading = Some(Running {
            taken: Box::pin(taken),
            turn,
        });
        self.say_how_it_goes(running);
    }

    /// Begins none, and says why where whoever asked finds it.
    fn refuse(&mut self, running: &Serving, why: &str) {
        tracing::warn!(target: "supervisor", "no upgrade, because {why}");
        let who = running.process.who.as_ref();
        let from = who.map_or_else(Who::own, Who::from);
        self.standing.is_refused(from, why);
        self.say_how_it_goes(running);
    }

    /// An upgrade is over. With a process that serves, that is the one from here on.
    pub(super) fn upgraded(&mut self, running: &mut Serving, taken: Result<Taken, String>) {
        let from = running
            .process
            .who
            .as_ref()
            .map_or_else(Who::own, Who::from);
        let taken = match taken {
            Ok(taken) => taken,
            Err(why) => {
                tracing::error!(target: "supervisor", "upgrade refused, process {} serves on: {why}", from.pid);
                self.standing.ends(from, Err(why));
                return self.say_how_it_goes(running);
            }
        };
        let to = taken.process.who.as_ref().map_or_else(Who::own, Who::from);
        // The one place where it is known that the new process serves.
        tracing::info!(target: "supervisor", pid = to.pid, version = to.version, "upgrade: process {} serves, swapgate {}", to.pid, to.version);
        if let Some(plan) = self.next.take() {
            self.plan = plan;
        }
        self.standing.ends(from, Ok(to));
        self.served += 1;
        self.workers = Some(taken.workers);
        if taken.noted {
            self.reports.drain(..running.given.min(self.reports.len()));
        }
        let new = Serving {
            process: taken.process,
            since: Instant::now(),
            ends: false,
            crashed: None,
            given: 0,
        };
        let mut old = std::mem::replace(running, new);
        // The next process writes it down.
        self.reports.extend(old.crashed.take());
        self.say_how_it_goes(running);
        self.notifier.waits_for_child();
        let gone = taken.gone;
        let _ = old.process.tell(&Told::Replaced { gone });
        let stops = *self.stops.borrow();
        if stops > 0 {
            // It was asked for after the turn came, and this one has not heard of it.
            let _ = running.process.tell(&Told::End { now: stops > 1 });
        }
        self.leaving.retain(|one| !one.is_finished());
        let leaving = leave(old.process, self.stops.subscribe());
        self.leaving.push(tokio::spawn(leaving));
    }

    fn say_how_it_goes(&self, running: &Serving) {
        // Where it is gone, that is seen where it is waited for.
        let standing = Box::new(self.standing.clone());
        let _ = running.process.tell(&Told::Upgrade(standing));
    }

    /// The process that served is gone: whether the one whose turn it is goes on in its place.
    pub(super) async fn goes_on(&mut self, running: &mut Serving, signals: &mut Signals) -> bool {
        let Some(mut upgrading) = self.upgrading.take_if(|one| one.turn.came()) else {
            return false;
        };
        let taken = loop {
            let stops = *self.stops.borrow();
            if stops > 1 {
                // It may hang, and then it hears no signal.
                upgrading.turn.revoke();
                tracing::warn!(target: "supervisor", "the new process took its turn and does not say that it serves; it is ended as well");
                return false;
            }
            if stops > 0 {
                tracing::info!(target: "supervisor", "waiting for the new process, whose turn it is; another signal ends it as well");
            }
            tokio::select! {
                biased;
                taken = upgrading.taken.as_mut() => break taken,
                () = signals.end() => self.stops.send_modify(|stops| *stops += 1),
            }
        };
        let goes_on = taken.is_ok();
        self.upgraded(running, taken);
        goes_on
    }

    /// Gives up an upgrade that is under way, and ends the process that would have taken over; unless that took its turn, for
    /// it may have accepted connections.
    pub(super) fn give_up(&mut self, why: &str) {
        if self.upgrading.take_if(|one| one.turn.take_back()).is_some() {
            tracing::warn!(target: "supervisor", "the upgrade is given up: {why}");
            self.standing.ends(Who::own(), Err(why.to_owned()));
        }
    }
}
