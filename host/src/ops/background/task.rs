//! The thread of the background, and the task of one instance on it.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use swapgate_abi as abi;
use swapgate_abi::OpTok;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinError, JoinSet, LocalSet, spawn_local};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

use super::{Called, Entry, Message, Order, Told, lock};
use crate::ops::{Begin, Done};
use crate::panics::{self, Part};

/// After what time it is tried again to tell what could not be told.
const AGAIN: Duration = Duration::from_millis(50);

/// Starts the thread.
pub(super) fn start_thread() -> io::Result<UnboundedSender<Order>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (orders, mut inbox) = unbounded_channel();
    std::thread::Builder::new()
        .name("background".to_owned())
        .spawn(move || {
            LocalSet::new().block_on(&runtime, async move {
                while let Some(order) = inbox.recv().await {
                    match order {
                        Order::Serve(entry, inbox) => {
                            let serving = Task::new(entry, inbox).serve();
                            spawn_local(panics::contained(Part::Background, serving));
                        }
                        Order::Drop(what) => drop(what),
                    }
                }
            });
        })?;
    Ok(orders)
}

/// The background of one instance.
struct Task {
    entry: Arc<Entry>,
    inbox: UnboundedReceiver<Message>,
    running: JoinSet<(OpTok, Done)>,
    handles: HashMap<OpTok, AbortHandle>,
    ticks: Option<Interval>,
    /// What could not be told yet.
    late: VecDeque<Told>,
    /// When that is tried again.
    again: Instant,
    /// Whether its hooks may still be called.
    callable: bool,
}

/// What happened.
enum Next {
    Message(Option<Message>),
    Done(Result<(OpTok, Done), JoinError>),
    Tick,
    /// What could not be told may be told now.
    Again,
}

impl Task {
    fn new(entry: Arc<Entry>, inbox: UnboundedReceiver<Message>) -> Self {
        Self {
            entry,
            inbox,
            running: JoinSet::new(),
            handles: HashMap::new(),
            ticks: None,
            late: VecDeque::new(),
            again: Instant::now(),
            callable: true,
        }
    }

    /// From the first message to the end of the instance.
    async fn serve(mut self) {
        loop {
            let told = match self.next().await {
                Next::Message(None) => return,
                Next::Message(Some(Message::End(done))) => return self.end(done).await,
                Next::Message(Some(message)) => self.take(message),
                Next::Done(joined) => self.done(joined),
                Next::Tick => Some(Told::Tick),
                Next::Again => self.late.pop_front(),
            };
            let Some(told) = told.filter(|_| self.callable) else {
                continue;
            };
            let ended = Arc::clone(&self.entry.ended);
            match self.entry.hooks.call(told, ended).await {
                // The next one comes by itself.
                Called::Returned | Called::Late(Told::Tick) => {}
                Called::Late(told) => {
                    self.late.push_back(told);
                    self.again = Instant::now() + AGAIN;
                }
                Called::Never => self.give_up(),
            }
        }
    }

    async fn next(&mut self) -> Next {
        tokio::select! {
            // Messages first, so that an end or a cancellation is seen before what it forbids.
            biased;
            message = self.inbox.recv() => Next::Message(message),
            Some(joined) = self.running.join_next() => Next::Done(joined),
            () = tick(&mut self.ticks) => Next::Tick,
            () = sleep_until(self.again), if !self.late.is_empty() => Next::Again,
        }
    }

    /// Does what a message asks for; what its hook must be told, if anything.
    fn take(&mut self, message: Message) -> Option<Told> {
        match message {
            Message::Begin(token, begin) => self.begin(token, begin),
            Message::Cancel(token) => {
                if let Some(handle) = self.handles.remove(&token) {
                    handle.abort();
                }
            }
            Message::Wake => {
                // Before the hook is called: whoever wakes it from now on means what it has not seen.
                self.entry.woken.store(false, Ordering::Release);
                return Some(Told::Wake);
            }
            Message::Tick(period) => self.ticks = period.map(ticks),
            Message::End(_) => {}
        }
        None
    }

    fn begin(&mut self, token: OpTok, begin: Begin) {
        // Nobody could be told.
        if !self.callable {
            self.entry.remove(token);
            return;
        }
        // Cancelled before it began.
        if !lock(&self.entry.pending).contains(&token) {
            return;
        }
        let operation = begin();
        let operation = async move {
            let done = panics::isolated(Part::Background, pin!(operation)).await;
            let done = done.unwrap_or_else(|panicked| {
                panicked.say();
                Done::with(abi::SG_E_FAILED)
            });
            (token, done)
        };
        let handle = self.running.spawn_local(operation);
        self.handles.insert(token, handle);
    }

    /// An operation came to its end; none if it was cancelled meanwhile.
    fn done(&mut self, joined: Result<(OpTok, Done), JoinError>) -> Option<Told> {
        let (token, done) = match joined {
            Ok(done) => done,
            Err(error) => {
                let failed = |(_, handle): &(&OpTok, &AbortHandle)| handle.id() == error.id();
                let (token, _) = self.handles.iter().find(failed)?;
                (*token, Done::with(abi::SG_E_FAILED))
            }
        };
        self.handles.remove(&token);
        let wanted = self.entry.remove(token);
        wanted.then_some(Told::Done(token, done))
    }

    /// A call of it has not returned: it is not called again, and nothing needs to be waited for.
    fn give_up(&mut self) {
        self.callable = false;
        self.late.clear();
        self.running.abort_all();
        self.handles.clear();
        self.ticks = None;
        self.entry.given_up.store(true, Ordering::Release);
        self.entry.clear();
    }

    async fn end(mut self, done: oneshot::Sender<()>) {
        self.running.shutdown().await;
        self.entry.clear();
        // Operations that were begun and never ran go with the inbox, before anybody hears that this is over.
        drop(self);
        let _ = done.send(());
    }
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + period, period);
    // A hook that takes longer than its period is not called twice in a row for it.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn tick(ticks: &mut Option<Interval>) {
    match ticks {
        Some(ticks) => {
            ticks.tick().await;
        }
        None => std::future::pending().await,
    }
}
