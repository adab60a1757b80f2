//! Operations that hooks began in an exchange, and the tokens by which other threads wake them.
//!
//! A hook only leaves its wish here: whoever called the hook starts what was begun once the hook has returned, because
//! an operation may bring code of a plugin with it, and a host function never calls back.

use std::fmt;

use swapgate_abi::{OpTok, WakeTok};
use tokio::task::AbortHandle;

use super::operation::Begin;
use super::{Denied, Frame, Lane, Waits};
use crate::wake::{self, next_token};

/// How many operations one instance may have running in one exchange.
const OPERATIONS: usize = 64;

/// What one exchange waits for.
#[derive(Debug, Default)]
pub struct Scope {
    operations: Vec<Operation>,
    wakers: Vec<Waker>,
    /// How many operations wait for their start, or for being thrown away.
    pub fresh: usize,
}

/// Who began something, and in which lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The instance; see [`super::State::owner`].
    pub owner: usize,
    /// The lane of the hook.
    pub lane: Lane,
}

#[derive(Debug)]
struct Operation {
    token: OpTok,
    place: Place,
    state: Stage,
}

enum Stage {
    /// Begun by a hook that has not returned yet.
    Begun(Begin),
    /// Thrown away before it started.
    Unwanted(Begin),
    /// It was told to start.
    Started,
    /// It runs.
    Running(AbortHandle),
}

#[derive(Debug)]
struct Waker {
    token: WakeTok,
    place: Place,
}

impl Scope {
    /// Begins an operation; there must be [`Self::room`] for it.
    pub fn begin(&mut self, token: OpTok, place: Place, begin: Begin) {
        self.operations.push(Operation {
            token,
            place,
            state: Stage::Begun(begin),
        });
        self.fresh += 1;
    }

    /// Whether one more operation may begin.
    ///
    /// # Errors
    /// Too many run already.
    pub fn room(&self, place: Place) -> Result<(), Denied> {
        let same = |one: &&Operation| one.place.owner == place.owner && !one.state.is_unwanted();
        if self.operations.iter().filter(same).count() >= OPERATIONS {
            return Err(Denied::TooLarge);
        }
        Ok(())
    }

    /// Ends an operation of an instance.
    ///
    /// # Errors
    /// It has none of that name.
    pub fn cancel(&mut self, token: OpTok, owner: usize) -> Result<(), Denied> {
        let found = self.operations.iter().position(|one| {
            one.token == token && one.place.owner == owner && !one.state.is_unwanted()
        });
        let at = found.ok_or(Denied::NotFound)?;
        self.end(at);
        Ok(())
    }

    /// Ends the operations and wake tokens that are chosen; gives back the tokens.
    pub fn end_all(&mut self, chosen: impl Fn(Place) -> bool) -> Vec<WakeTok> {
        for at in (0..self.operations.len()).rev() {
            if self.operations.get(at).is_some_and(|one| chosen(one.place)) {
                self.end(at);
            }
        }
        let mut ended = Vec::new();
        self.wakers.retain(|one| {
            let ends = chosen(one.place);
            if ends {
                ended.push(one.token);
            }
            !ends
        });
        ended
    }

    fn end(&mut self, at: usize) {
        let one = self.operations.swap_remove(at);
        match one.state {
            Stage::Begun(begin) | Stage::Unwanted(begin) => self.operations.push(Operation {
                state: Stage::Unwanted(begin),
                ..one
            }),
            Stage::Started => {}
            // The task is dropped when the worker comes to it, never inside the call that ends it.
            Stage::Running(task) => task.abort(),
        }
    }

    /// The operations that were begun since the last time. What was thrown away meanwhile comes with it, to be dropped by
    /// whoever asks: a drop may run code of a plugin.
    pub fn take_fresh(&mut self) -> Fresh {
        let mut fresh = Fresh::default();
        self.fresh = 0;
        let mut at = 0;
        while let Some(one) = self.operations.get_mut(at) {
            match std::mem::replace(&mut one.state, Stage::Started) {
                Stage::Begun(begin) => fresh.begun.push((one.token, one.place.owner, begin)),
                Stage::Unwanted(begin) => {
                    fresh.unwanted.push(begin);
                    self.operations.remove(at);
                    continue;
                }
                running => one.state = running,
            }
            at += 1;
        }
        fresh
    }

    /// Notes the task of an operation that started.
    pub fn started(&mut self, token: OpTok, task: AbortHandle) {
        if let Some(one) = self.operations.iter_mut().find(|one| one.token == token) {
            one.state = Stage::Running(task);
        }
    }

    /// Takes an operation that came to its end off the list; none if nobody wants to know.
    pub fn done(&mut self, token: OpTok) -> Option<Place> {
        let at = self.operations.iter().position(|one| one.token == token)?;
        Some(self.operations.swap_remove(at).place)
    }

    /// The wake token of an instance in a lane, if it has one already.
    #[must_use]
    pub fn waker(&self, place: Place) -> Option<WakeTok> {
        let mut wakers = self.wakers.iter();
        wakers.find(|one| one.place == place).map(|one| one.token)
    }

    /// Keeps the wake token of an instance in a lane.
    pub fn keep_waker(&mut self, token: WakeTok, place: Place) {
        self.wakers.push(Waker { token, place });
    }

    /// Whom a wake token wakes.
    #[must_use]
    pub fn woken(&self, token: WakeTok) -> Option<Place> {
        let mut wakers = self.wakers.iter();
        wakers.find(|one| one.token == token).map(|one| one.place)
    }

    /// How many operations run, or are about to.
    #[must_use]
    pub fn running(&self) -> usize {
        let unwanted = |one: &&Operation| one.state.is_unwanted();
        self.operations.len() - self.operations.iter().filter(unwanted).count()
    }
}

impl Frame<'_> {
    /// Begins an operation of this exchange, which starts once the hook has returned. `make` is asked only if there is
    /// room for one more.
    ///
    /// # Errors
    /// Nobody could be told what it came to, too many run already, or what `make` says.
    pub fn begin(&mut self, make: impl FnOnce() -> Result<Begin, Denied>) -> Result<OpTok, Denied> {
        let place = self.place()?;
        let scope = self.context.scope.get_or_insert_default();
        scope.room(place)?;
        let token = next_token();
        scope.begin(token, place, make()?);
        Ok(token)
    }

    /// Ends an operation of the running instance.
    ///
    /// # Errors
    /// It has none of that name.
    pub fn cancel(&mut self, token: OpTok) -> Result<(), Denied> {
        let owner = self.owner;
        let scope = self.context.scope.as_mut().ok_or(Denied::NotFound)?;
        scope.cancel(token, owner)
    }

    /// The token that wakes the running instance in this lane.
    ///
    /// # Errors
    /// Nobody could be told, or the worker takes nothing any more.
    pub fn waker(&mut self) -> Result<WakeTok, Denied> {
        let place = self.place()?;
        let exchange = self.context.token;
        let scope = self.context.scope.get_or_insert_default();
        if let Some(token) = scope.waker(place) {
            return Ok(token);
        }
        let token = wake::issue(exchange).map_err(|_| Denied::Unavailable)?;
        scope.keep_waker(token, place);
        Ok(token)
    }

    /// Where operations of the running hook belong.
    fn place(&self) -> Result<Place, Denied> {
        match self.waits {
            Waits::Never => Err(Denied::WrongPhase),
            Waits::Preflight => Err(Denied::Unavailable),
            Waits::May => Ok(Place {
                owner: self.owner,
                lane: self.lane,
            }),
        }
    }
}

/// What hooks began and threw away.
#[derive(Default)]
pub struct Fresh {
    /// To be started, each with the instance that began it.
    pub begun: Vec<(OpTok, usize, Begin)>,
    /// To be dropped.
    pub unwanted: Vec<Begin>,
}

impl Stage {
    fn is_unwanted(&self) -> bool {
        matches!(self, Self::Unwanted(_))
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Begun(_) => "Begun",
            Self::Unwanted(_) => "Unwanted",
            Self::Started => "Started",
            Self::Running(_) => "Running",
        })
    }
}
