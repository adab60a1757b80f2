//! What the gateway in memory does besides exchanges: a clock, operations, names, values, instances.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::c_void;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use swapgate_abi::{ExchangeTok, InstanceTok, OpTok, ReleaseFn, WakeTok, WorkFn};

use crate::guest::hooks::Lane;
use crate::guest::response::Response;
use crate::status::HostError;

/// At most so many operations of an exchange run at a time.
const EXCHANGE_OPS: usize = 64;
/// And of a background.
const INSTANCE_OPS: usize = 1024;
const MAX_KEY: usize = 512;
const MAX_VALUE: usize = 1024 * 1024;

/// Whose an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Exchange(ExchangeTok, Lane),
    Instance(InstanceTok),
}

impl Scope {
    pub(super) fn token(self) -> u64 {
        match self {
            Self::Exchange(token, _) | Self::Instance(token) => token,
        }
    }
}

/// A request of a callout that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callout {
    /// Names it to [`Host::answer`](super::Host::answer).
    pub id: u64,
    /// The name of a service, or empty.
    pub service: String,
    /// Path and query, or a whole URL.
    pub url: String,
    /// The method.
    pub method: String,
    /// The headers, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Callout {
    /// The first value of a header; the name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_slice())
    }
}

/// Work for another thread.
#[derive(Clone, Copy)]
pub(super) struct Job {
    pub(super) work: WorkFn,
    pub(super) release: Option<ReleaseFn>,
    pub(super) context: *mut c_void,
}

/// What an operation does.
pub(super) enum Doing {
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
pub(super) enum Data {
    Nothing,
    Answer(Response),
    Addresses(Vec<String>),
}

/// An operation that came to its end, or a token that was used.
pub(super) enum Happening {
    Done {
        op: OpTok,
        scope: Scope,
        result: i32,
        data: Data,
        job: Option<Job>,
    },
    Wake(Scope),
}

pub(super) struct Background {
    pub(super) made: *mut c_void,
    period: Duration,
    next_tick: Duration,
}

struct Stored {
    value: Vec<u8>,
    revision: u64,
    until: Option<Duration>,
}

/// All of it.
#[derive(Default)]
pub(super) struct World {
    clock: Duration,
    last: u64,
    ops: BTreeMap<OpTok, Op>,
    happened: VecDeque<Happening>,
    wakers: BTreeMap<WakeTok, Scope>,
    rung: BTreeSet<WakeTok>,
    pub(super) instances: BTreeMap<InstanceTok, Background>,
    pub(super) names: BTreeMap<String, Vec<IpAddr>>,
    values: BTreeMap<Vec<u8>, Stored>,
    /// Every operation is reported twice, which no gateway does.
    pub(super) twice: bool,
    /// Blocking work stays where it is.
    pub(super) hold_work: bool,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

impl World {
    /// A number nobody else has.
    pub(super) fn number(&mut self) -> u64 {
        self.last += 1;
        // Far from the tokens of exchanges and of other hosts, so that a mix-up shows.
        0x5347_0000_0000 + self.last
    }

    pub(super) fn now(&self) -> Duration {
        self.clock
    }

    pub(super) fn start(&mut self, scope: Scope, doing: Doing) -> Result<OpTok, HostError> {
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
    pub(super) fn cancel(&mut self, scope: u64, op: OpTok) -> Result<Option<Job>, HostError> {
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
    pub(super) fn end(&mut self, scope: u64) -> Vec<Job> {
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
    pub(super) fn running(&self) -> usize {
        self.ops.len()
    }

    /// Brings an operation to its end. False: there is none.
    pub(super) fn done(&mut self, op: OpTok, result: i32, data: Data) -> bool {
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
    pub(super) fn has_happened(&self) -> bool {
        !self.happened.is_empty()
    }

    pub(super) fn next_happening(&mut self) -> Option<Happening> {
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

    pub(super) fn waker(&mut self, scope: Scope) -> WakeTok {
        let known = self.wakers.iter().find(|(_, found)| **found == scope);
        if let Some((token, _)) = known {
            return *token;
        }
        let token = self.number();
        self.wakers.insert(token, scope);
        token
    }

    pub(super) fn has_waker(&self, exchange: ExchangeTok) -> bool {
        self.wakers.values().any(|scope| scope.token() == exchange)
    }

    pub(super) fn wake(&mut self, token: WakeTok) -> Result<(), HostError> {
        let scope = *self.wakers.get(&token).ok_or(HostError::Stale)?;
        if self.rung.insert(token) {
            self.happened.push_back(Happening::Wake(scope));
        }
        Ok(())
    }

    /// Callouts that wait for an answer.
    pub(super) fn callouts(&self) -> Vec<Callout> {
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
    pub(super) fn lookups(&self) -> Vec<(OpTok, String)> {
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
    pub(super) fn work(&self) -> Option<(OpTok, Job)> {
        self.ops.iter().find_map(|(op, found)| match &found.doing {
            Doing::Blocking(job) => Some((*op, *job)),
            _ => None,
        })
    }

    /// When the next thing happens by itself.
    pub(super) fn next_time(&self) -> Option<Duration> {
        let ops = self.ops.values().filter_map(|op| match &op.doing {
            Doing::Sleep { until } | Doing::Http { until, .. } => Some(*until),
            _ => None,
        });
        ops.min()
    }

    fn next_tick(&self) -> Option<Duration> {
        let ticking = self.instances.values().filter(|it| !it.period.is_zero());
        ticking.map(|it| it.next_tick).min()
    }

    /// Goes on to the next thing that happens until then; true if there is one.
    pub(super) fn go_on(&mut self, until: Duration) -> bool {
        let next = self.next_time().into_iter().chain(self.next_tick()).min();
        let Some(next) = next.filter(|next| *next <= until) else {
            self.clock = self.clock.max(until);
            return false;
        };
        self.clock = self.clock.max(next);
        let now = self.clock;
        let due = self
            .ops
            .iter()
            .filter_map(|(op, found)| match &found.doing {
                Doing::Sleep { until } if *until <= now => Some((*op, 0)),
                Doing::Http { until, .. } if *until <= now => {
                    Some((*op, HostError::Timeout.code()))
                }
                _ => None,
            });
        for (op, result) in due.collect::<Vec<_>>() {
            self.done(op, result, Data::Nothing);
        }
        true
    }

    /// The instances whose tick is due, which it is no more then.
    pub(super) fn due_ticks(&mut self) -> Vec<*mut c_void> {
        let now = self.clock;
        let due = self
            .instances
            .values_mut()
            .filter(|it| !it.period.is_zero() && it.next_tick <= now);
        due.map(|it| {
            it.next_tick = now + it.period;
            it.made
        })
        .collect()
    }

    pub(super) fn add_instance(&mut self, made: *mut c_void) -> InstanceTok {
        let token = self.number();
        let background = Background {
            made,
            period: Duration::ZERO,
            next_tick: Duration::ZERO,
        };
        self.instances.insert(token, background);
        token
    }

    pub(super) fn tick_every(&mut self, token: InstanceTok, ms: u64) -> Result<(), HostError> {
        let now = self.clock;
        let found = self.instances.get_mut(&token).ok_or(HostError::Stale)?;
        if (1..10).contains(&ms) {
            return Err(HostError::Invalid);
        }
        found.period = Duration::from_millis(ms);
        found.next_tick = now + found.period;
        Ok(())
    }

    fn stored(&mut self, key: &[u8]) -> Result<Option<&mut Stored>, HostError> {
        if key.len() > MAX_KEY {
            return Err(HostError::TooLarge);
        }
        let now = self.clock;
        self.values
            .retain(|_, stored| stored.until.is_none_or(|until| until > now));
        Ok(self.values.get_mut(key))
    }

    pub(super) fn get(&mut self, key: &[u8]) -> Result<(&[u8], u64), HostError> {
        let stored = self.stored(key)?.ok_or(HostError::NotFound)?;
        Ok((&stored.value, stored.revision))
    }

    fn put(&mut self, key: &[u8], value: Vec<u8>, ttl_ms: u64) -> Result<(), HostError> {
        if value.len() > MAX_VALUE || key.len() > MAX_KEY {
            return Err(HostError::TooLarge);
        }
        let revision = self.number();
        let until = (ttl_ms > 0).then(|| self.clock + Duration::from_millis(ttl_ms));
        let stored = Stored {
            value,
            revision,
            until,
        };
        self.values.insert(key.to_vec(), stored);
        Ok(())
    }

    pub(super) fn set(&mut self, key: &[u8], value: &[u8], ttl_ms: u64) -> Result<(), HostError> {
        self.put(key, value.to_vec(), ttl_ms)
    }

    pub(super) fn add(&mut self, key: &[u8], delta: i64, ttl_ms: u64) -> Result<i64, HostError> {
        let revision = self.number();
        let Some(stored) = self.stored(key)? else {
            self.put(key, delta.to_ne_bytes().to_vec(), ttl_ms)?;
            return Ok(delta);
        };
        let number = stored.value.as_slice().try_into();
        let number = i64::from_ne_bytes(number.map_err(|_| HostError::Invalid)?);
        let sum = number.checked_add(delta).ok_or(HostError::TooLarge)?;
        stored.value = sum.to_ne_bytes().to_vec();
        stored.revision = revision;
        Ok(sum)
    }

    pub(super) fn compare_and_set(
        &mut self,
        key: &[u8],
        revision: u64,
        value: &[u8],
        ttl_ms: u64,
    ) -> Result<(), HostError> {
        let found = self.stored(key)?.map_or(0, |stored| stored.revision);
        if found != revision {
            return Err(HostError::Conflict);
        }
        self.set(key, value, ttl_ms)
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Result<(), HostError> {
        self.stored(key)?;
        self.values.remove(key);
        Ok(())
    }
}
