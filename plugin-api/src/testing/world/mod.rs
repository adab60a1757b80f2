//! What the gateway in memory does besides exchanges: a clock, operations, names, values, instances.

mod callout;
mod time;
mod values;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::c_void;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use swapgate_abi::{ExchangeTok, InstanceTok, OpTok, ReleaseFn, WakeTok, WorkFn};

pub use callout::Callout;
use values::Stored;

use crate::guest::hooks::Lane;
use crate::guest::response::Response;
use crate::status::HostError;

/// At most so many operations of an exchange run at a time.
const EXCHANGE_OPS: usize = 64;
/// And of a background.
const INSTANCE_OPS: usize = 1024;

/// Whose an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::testing) enum Scope {
    Exchange(ExchangeTok, Lane),
    Instance(InstanceTok),
}

impl Scope {
    pub(in crate::testing) fn token(self) -> u64 {
        match self {
            Self::Exchange(token, _) | Self::Instance(token) => token,
        }
    }
}

/// Work for another thread.
#[derive(Clone, Copy)]
pub(in crate::testing) struct Job {
    pub(in crate::testing) work: WorkFn,
    pub(in crate::testing) release: Option<ReleaseFn>,
    pub(in crate::testing) context: *mut c_void,
}

/// What an operation does.
pub(in crate::testing) enum Doing {
    Sleep {
        until: Duration,
    },
    Http {
        until: Duration,
        callout: Callout,
    },
    Resolve {
        name: String,
    },
    Blocking(Job),
    /// Its end is on its way.
    Ended,
}

struct Op {
    scope: Scope,
    doing: Doing,
}

/// What an event brings.
pub(in crate::testing) enum Data {
    Nothing,
    Answer(Response),
    Addresses(Vec<String>),
}

/// An operation that came to its end, or a token that was used.
pub(in crate::testing) enum Happening {
    Done {
        op: OpTok,
        scope: Scope,
        result: i32,
        data: Data,
        job: Option<Job>,
    },
    Wake(Scope),
}

pub(in crate::testing) struct Background {
    pub(in crate::testing) made: *mut c_void,
    period: Duration,
    next_tick: Duration,
}

/// All of it.
#[derive(Default)]
pub(in crate::testing) struct World {
    clock: Duration,
    last: u64,
    ops: BTreeMap<OpTok, Op>,
    happened: VecDeque<Happening>,
    wakers: BTreeMap<WakeTok, Scope>,
    rung: BTreeSet<WakeTok>,
    pub(in crate::testing) instances: BTreeMap<InstanceTok, Background>,
    pub(in crate::testing) names: BTreeMap<String, Vec<IpAddr>>,
    values: BTreeMap<Vec<u8>, Stored>,
    /// Every operation is reported twice, which no gateway does.
    pub(in crate::testing) twice: bool,
    /// Blocking work stays where it is.
    pub(in crate::testing) hold_work: bool,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

impl World {
    /// A number nobody else has.
    pub(in crate::testing) fn number(&mut self) -> u64 {
        self.last += 1;
        // Far from the tokens of exchanges and of other hosts, so that a mix-up shows.
        0x5347_0000_0000 + self.last
    }

    pub(in crate::testing) fn now(&self) -> Duration {
        self.clock
    }

    pub(in crate::testing) fn start(
        &mut self,
        scope: Scope,
        doing: Doing,
    ) -> Result<OpTok, HostError> {
        let running = self
            .ops
            .values()
            .filter(|op| op.scope.token() == scope.token());
        let most = match scope {
            Scope::Exchange(..) => EXCHANGE_OPS,
            Scope::Instance(_) => INSTANCE_OPS,
        };
        if running.count() >= most {
            return Err(HostError::TooLarge);
        }
        let op = self.number();
        self.ops.insert(op, Op { scope, doing });
        Ok(op)
    }

    /// Ends an operation without an event. What comes back is to be released.
    pub(in crate::testing) fn cancel(
        &mut self,
        scope: u64,
        op: OpTok,
    ) -> Result<Option<Job>, HostError> {
        let known = self
            .ops
            .get(&op)
            .is_some_and(|found| found.scope.token() == scope);
        let Some(found) = self.ops.remove(&op).filter(|_| known) else {
            return Err(HostError::NotFound);
        };
        let mut job = match found.doing {
            Doing::Blocking(job) => Some(job),
            _ => None,
        };
        self.happened.retain_mut(|happening| match happening {
            Happening::Done {
                op: ended,
                job: of_it,
                ..
            } if *ended == op => {
                job = of_it.take().or(job);
                false
            }
            _ => true,
        });
        Ok(job)
    }

    /// Ends everything of an exchange or an instance. What comes back is to be released.
    pub(in crate::testing) fn end(&mut self, scope: u64) -> Vec<Job> {
        let of_it = self.ops.iter().filter(|(_, op)| op.scope.token() == scope);
        let ops: Vec<OpTok> = of_it.map(|(op, _)| *op).collect();
        let jobs = ops
            .into_iter()
            .filter_map(|op| self.cancel(scope, op).ok().flatten());
        let jobs = jobs.collect();
        self.wakers.retain(|_, found| found.token() != scope);
        self.happened.retain(|happening| match happening {
            Happening::Done { scope: of, .. } | Happening::Wake(of) => of.token() != scope,
        });
        jobs
    }

    /// How many operations run.
    pub(in crate::testing) fn running(&self) -> usize {
        self.ops.len()
    }

    /// Brings an operation to its end. False: there is none.
    pub(in crate::testing) fn done(&mut self, op: OpTok, result: i32, data: Data) -> bool {
        let twice = self.twice;
        let Some(found) = self.ops.get_mut(&op) else {
            return false;
        };
        let job = match std::mem::replace(&mut found.doing, Doing::Ended) {
            Doing::Blocking(job) => Some(job),
            _ => None,
        };
        let scope = found.scope;
        let happening = Happening::Done {
            op,
            scope,
            result,
            data,
            job,
        };
        self.happened.push_back(happening);
        if twice {
            let again = Happening::Done {
                op,
                scope,
                result,
                data: Data::Nothing,
                job: None,
            };
            self.happened.push_back(again);
        }
        true
    }

    /// Whether something happened that nobody was told of.
    pub(in crate::testing) fn has_happened(&self) -> bool {
        !self.happened.is_empty()
    }

    pub(in crate::testing) fn next_happening(&mut self) -> Option<Happening> {
        let happening = self.happened.pop_front()?;
        match &happening {
            Happening::Done { op, .. } => drop(self.ops.remove(op)),
            Happening::Wake(scope) => {
                let wakers = &self.wakers;
                self.rung.retain(|token| wakers.get(token) != Some(scope));
            }
        }
        Some(happening)
    }

    pub(in crate::testing) fn waker(&mut self, scope: Scope) -> WakeTok {
        let known = self.wakers.iter().find(|(_, found)| **found == scope);
        if let Some((token, _)) = known {
            return *token;
        }
        let token = self.number();
        self.wakers.insert(token, scope);
        token
    }

    pub(in crate::testing) fn has_waker(&self, exchange: ExchangeTok) -> bool {
        self.wakers.values().any(|scope| scope.token() == exchange)
    }

    pub(in crate::testing) fn wake(&mut self, token: WakeTok) -> Result<(), HostError> {
        let scope = *self.wakers.get(&token).ok_or(HostError::Stale)?;
        if self.rung.insert(token) {
            self.happened.push_back(Happening::Wake(scope));
        }
        Ok(())
    }

    /// Callouts that wait for an answer.
    pub(in crate::testing) fn callouts(&self) -> Vec<Callout> {
        let running = self
            .ops
            .iter()
            .filter_map(|(op, found)| match &found.doing {
                Doing::Http { callout, .. } => Some(Callout {
                    id: *op,
                    ..callout.clone()
                }),
                _ => None,
            });
        running.collect()
    }

    /// Names that wait to be looked up.
    pub(in crate::testing) fn lookups(&self) -> Vec<(OpTok, String)> {
        let running = self
            .ops
            .iter()
            .filter_map(|(op, found)| match &found.doing {
                Doing::Resolve { name } => Some((*op, name.clone())),
                _ => None,
            });
        running.collect()
    }

    /// Work that waits for a thread.
    pub(in crate::testing) fn work(&self) -> Option<(OpTok, Job)> {
        self.ops.iter().find_map(|(op, found)| match &found.doing {
            Doing::Blocking(job) => Some((*op, *job)),
            _ => None,
        })
    }
}
