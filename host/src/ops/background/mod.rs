//! The background of instances: operations outside of exchanges, ticks, and wakes.
//!
//! One thread for the process waits for all of them. Each instance that uses it has one task there, which calls its hooks
//! one after the other; the calls themselves are made where control calls plugins, so that one that hangs holds up
//! nobody here. Tokens of instances are never used twice in a process, so this is one for the process as well, and its
//! thread starts when the first instance needs it.
//!
//! [`end`] is what makes `destroy` safe: once it returned, no hook of the instance runs here and none will.

mod task;

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use swapgate_abi::{InstanceTok, OpTok, WakeTok};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::{Begin, Done};
use crate::context::Denied;
use crate::wake::next_token;

/// How many operations of one instance may be pending.
pub const OPERATIONS: usize = 1024;
/// The shortest period of a tick.
pub const SHORTEST_TICK: Duration = Duration::from_millis(10);

/// What an instance is told.
#[derive(Debug)]
pub enum Told {
    /// A period is over.
    Tick,
    /// An operation came to its end.
    Done(OpTok, Done),
    /// Its wake token was used.
    Wake,
}

/// What a call of a hook came to.
#[derive(Debug)]
pub enum Called {
    /// It returned.
    Returned,
    /// It was not made, for another call of the same file has not returned yet. It may be made later.
    Late(Told),
    /// It has not returned, or the instance has ended: it must not be called any more.
    Never,
}

/// The hooks of an instance for its background.
pub trait Hooks: Send + Sync {
    /// Whether it can be told of ticks.
    fn takes_ticks(&self) -> bool;

    /// Whether it can be told of operations and wakes.
    fn takes_events(&self) -> bool;

    /// Another operation of it is pending; or, where this is negative, so many are not any more.
    fn count_pending(&self, more: i64);

    /// Calls the hook, unless `ended` says when its turn comes that it must not be called any more.
    fn call(&self, told: Told, ended: Arc<AtomicBool>) -> Pin<Box<dyn Future<Output = Called>>>;
}

/// An instance, from before its `start` until before its `destroy`.
struct Entry {
    hooks: Arc<dyn Hooks>,
    ended: Arc<AtomicBool>,
    /// A call of it has not returned, so it cannot be told anything any more.
    given_up: AtomicBool,
    /// Operations that have neither been told nor cancelled.
    pending: Mutex<HashSet<OpTok>>,
    /// Whether a wake is on its way.
    woken: AtomicBool,
    messages: UnboundedSender<Message>,
    /// Taken by its task, which starts with the first message.
    inbox: Mutex<Option<UnboundedReceiver<Message>>>,
}

/// What the task of an instance is told.
enum Message {
    Begin(OpTok, Begin),
    Cancel(OpTok),
    Wake,
    Tick(Option<Duration>),
    End(oneshot::Sender<()>),
}

/// What the thread is told.
enum Order {
    Serve(Arc<Entry>, UnboundedReceiver<Message>),
    Drop(Box<dyn Send>),
}

static ENTRIES: LazyLock<Mutex<HashMap<InstanceTok, Arc<Entry>>>> = LazyLock::new(Mutex::default);
static THREAD: Mutex<Option<UnboundedSender<Order>>> = Mutex::new(None);

/// Opens the background of an instance that is about to be started.
pub fn open(instance: InstanceTok, hooks: Arc<dyn Hooks>) {
    let (messages, inbox) = unbounded_channel();
    let entry = Entry {
        hooks,
        ended: Arc::default(),
        given_up: AtomicBool::new(false),
        pending: Mutex::default(),
        woken: AtomicBool::new(false),
        messages,
        inbox: Mutex::new(Some(inbox)),
    };
    lock(&ENTRIES).insert(instance, Arc::new(entry));
}

/// Begins an operation of an instance, which `make` makes if there is room for one more.
///
/// # Errors
/// The instance is gone, cannot be told, or cannot be any more, or has too many; or what `make` says.
pub fn begin(
    instance: InstanceTok,
    make: impl FnOnce() -> Result<Begin, Denied>,
) -> Result<OpTok, Denied> {
    let entry = told(instance)?;
    let token = next_token();
    {
        // Held while it is made, so that there is still room afterwards.
        let mut pending = lock(&entry.pending);
        if entry.given_up.load(Ordering::Acquire) {
            return Err(Denied::Unavailable);
        }
        if pending.len() >= OPERATIONS {
            return Err(Denied::TooLarge);
        }
        let begin = make()?;
        pending.insert(token);
        entry.hooks.count_pending(1);
        drop(pending);
        let sent = entry.send(Message::Begin(token, begin));
        if sent.is_err() {
            entry.remove(token);
        }
        sent?;
    }
    Ok(token)
}

/// Ends an operation without an event.
///
/// # Errors
/// There is none, or none any more.
pub fn cancel(instance: InstanceTok, operation: OpTok) -> Result<(), Denied> {
    let entry = told(instance)?;
    if !entry.remove(operation) {
        return Err(Denied::NotFound);
    }
    entry.send(Message::Cancel(operation))
}

/// The token that wakes an instance: its own, for it has one background.
///
/// # Errors
/// The instance is gone or cannot be told.
pub fn waker(instance: InstanceTok) -> Result<WakeTok, Denied> {
    told(instance).map(|_| instance)
}

/// Has an instance told that it was woken; several times before that are one.
///
/// # Errors
/// The instance is gone.
pub fn wake(token: WakeTok) -> Result<(), Denied> {
    let entry = told(token)?;
    if entry.woken.swap(true, Ordering::AcqRel) {
        return Ok(());
    }
    entry.send(Message::Wake)
}

/// Has an instance told every so many milliseconds; 0: no more.
///
/// # Errors
/// The instance is gone, has no hook for it, or the period is too short.
pub fn tick_every(instance: InstanceTok, milliseconds: u64) -> Result<(), Denied> {
    let entry = find(instance)?;
    let period = Some(Duration::from_millis(milliseconds)).filter(|period| !period.is_zero());
    let short = period.is_some_and(|period| period < SHORTEST_TICK);
    if short || !entry.hooks.takes_ticks() {
        return Err(Denied::Invalid);
    }
    entry.send(Message::Tick(period))
}

/// Closes the background of an instance: operations end, tokens are stale. Yields once no hook of it runs here any more.
pub async fn end(instance: InstanceTok) {
    let Some(entry) = lock(&ENTRIES).remove(&instance) else {
        return;
    };
    entry.ended.store(true, Ordering::Release);
    if lock(&entry.inbox).take().is_some() {
        // Its task never started, and nothing can start it now.
        entry.clear();
        return;
    }
    let (done, ended) = oneshot::channel();
    if entry.messages.send(Message::End(done)).is_ok() {
        // An error means that the task has ended by itself, which is as good.
        let _ = ended.await;
    }
}

/// How many operations of an instance are pending.
#[must_use]
pub fn pending(instance: InstanceTok) -> usize {
    find(instance).map_or(0, |entry| lock(&entry.pending).len())
}

/// Drops something on the thread of the background, because what its end calls may not be called here.
pub fn drop_elsewhere(what: Box<dyn Send>) {
    // Without a thread it is dropped here after all: better at a bad place than never.
    let _ = thread(Order::Drop(what));
}

impl Entry {
    /// Takes an operation off the list; false if it is not there any more.
    fn remove(&self, operation: OpTok) -> bool {
        let removed = lock(&self.pending).remove(&operation);
        if removed {
            self.hooks.count_pending(-1);
        }
        removed
    }

    /// Takes all of them off the list.
    fn clear(&self) {
        let gone = std::mem::take(&mut *lock(&self.pending)).len();
        let gone = i64::try_from(gone).unwrap_or(i64::MAX);
        self.hooks.count_pending(-gone);
    }

    fn send(self: &Arc<Self>, message: Message) -> Result<(), Denied> {
        let inbox = lock(&self.inbox).take();
        if let Some(inbox) = inbox {
            thread(Order::Serve(Arc::clone(self), inbox))?;
        }
        self.messages.send(message).map_err(|_| Denied::Stale)
    }
}

fn find(instance: InstanceTok) -> Result<Arc<Entry>, Denied> {
    let entries = lock(&ENTRIES);
    let entry = entries.get(&instance).ok_or(Denied::Stale)?;
    if entry.ended.load(Ordering::Acquire) {
        return Err(Denied::Stale);
    }
    Ok(Arc::clone(entry))
}

/// An instance that can be told of events.
fn told(instance: InstanceTok) -> Result<Arc<Entry>, Denied> {
    let entry = find(instance)?;
    if entry.hooks.takes_events() {
        Ok(entry)
    } else {
        Err(Denied::WrongPhase)
    }
}

/// Tells the thread something, and starts it if need be.
fn thread(order: Order) -> Result<(), Denied> {
    let mut thread = lock(&THREAD);
    let orders = match thread.as_ref() {
        Some(orders) => orders,
        None => thread.insert(task::start_thread().map_err(|error| {
            tracing::error!(%error, "the system gives no thread for the background of plugins");
            Denied::Unavailable
        })?),
    };
    orders.send(order).map_err(|_| Denied::Unavailable)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
