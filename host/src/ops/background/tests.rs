use std::sync::atomic::{AtomicI64, AtomicUsize};
use std::sync::mpsc::{Receiver, Sender, channel};

use swapgate_abi as abi;

use super::*;
use crate::plugin::testing::run;

/// Writes down what it is told.
struct Fake {
    told: Mutex<Sender<String>>,
    ticks: bool,
    running: AtomicUsize,
    pending: Arc<AtomicI64>,
    /// How long a call takes.
    takes: Duration,
}

impl Hooks for Arc<Fake> {
    fn takes_ticks(&self) -> bool {
        self.ticks
    }

    fn takes_events(&self) -> bool {
        true
    }

    fn count_pending(&self, more: i64) {
        self.pending.fetch_add(more, Ordering::SeqCst);
    }

    fn call(&self, told: Told, ended: Arc<AtomicBool>) -> Pin<Box<dyn Future<Output = Called>>> {
        let fake = Arc::clone(self);
        Box::pin(async move {
            assert_eq!(
                fake.running.fetch_add(1, Ordering::SeqCst),
                0,
                "twice at once"
            );
            if !fake.takes.is_zero() {
                tokio::time::sleep(fake.takes).await;
            }
            if !ended.load(Ordering::Acquire) {
                let line = match told {
                    Told::Tick => "tick".to_owned(),
                    Told::Wake => "wake".to_owned(),
                    Told::Done(token, done) => format!("{token}: {}", done.result),
                };
                let _ = lock(&fake.told).send(line);
            }
            fake.running.fetch_sub(1, Ordering::SeqCst);
            Called::Returned
        })
    }
}

fn opened(instance: InstanceTok, takes: Duration) -> Receiver<String> {
    opened_counting(instance, takes, &Arc::default())
}

fn opened_counting(
    instance: InstanceTok,
    takes: Duration,
    pending: &Arc<AtomicI64>,
) -> Receiver<String> {
    let (told, heard) = channel();
    let fake = Fake {
        told: Mutex::new(told),
        ticks: true,
        running: AtomicUsize::new(0),
        pending: Arc::clone(pending),
        takes,
    };
    open(instance, Arc::new(Arc::new(fake)));
    heard
}

const LONG: Duration = Duration::from_secs(30);
/// Far from the tokens that instances get, and of exchanges.
const BASE: InstanceTok = 1 << 40;

fn ready(result: i32) -> Begin {
    Box::new(move || Box::pin(async move { Done::with(result) }))
}

/// Never ends, and says when it is dropped.
fn endless(dropped: Sender<String>) -> Begin {
    struct Says(Sender<String>);
    impl Drop for Says {
        fn drop(&mut self) {
            let _ = self.0.send("dropped".to_owned());
        }
    }
    let says = Says(dropped);
    Box::new(move || {
        Box::pin(async move {
            let _says = says;
            std::future::pending().await
        })
    })
}

#[test]
fn operations_are_told_once_and_cancelled_ones_never() {
    let instance = BASE + 1;
    let heard = opened(instance, Duration::ZERO);
    let (dropped, drops) = channel();
    let first = begin(instance, || Ok(ready(7))).expect("begins");
    assert_eq!(heard.recv_timeout(LONG), Ok(format!("{first}: 7")));
    let second = begin(instance, || Ok(endless(dropped))).expect("begins");
    assert_eq!(pending(instance), 1);
    cancel(instance, second).expect("is there");
    assert_eq!(cancel(instance, second), Err(Denied::NotFound));
    assert_eq!(drops.recv_timeout(LONG).as_deref(), Ok("dropped"));
    run(end(instance));
    assert!(heard.try_recv().is_err());
}

#[test]
fn ticks_and_wakes_come_until_the_end() {
    let instance = BASE + 2;
    let heard = opened(instance, Duration::from_millis(3));
    assert_eq!(tick_every(instance, 9), Err(Denied::Invalid));
    tick_every(instance, 10).expect("long enough");
    for _ in 0..3 {
        assert_eq!(heard.recv_timeout(LONG).as_deref(), Ok("tick"));
    }
    tick_every(instance, 0).expect("stops");
    let token = waker(instance).expect("can be told");
    wake(token).expect("is there");
    while heard.recv_timeout(LONG).expect("is told") != "wake" {}
    tick_every(instance, 10).expect("long enough");
    run(end(instance));
    while heard.try_recv().is_ok() {}
    assert_eq!(wake(token), Err(Denied::Stale));
    assert_eq!(tick_every(instance, 10), Err(Denied::Stale));
    assert_eq!(begin(instance, || Ok(ready(0))), Err(Denied::Stale));
    // Nothing holds the channel any more, so nothing can come.
    assert!(heard.recv().is_err());
}

#[test]
fn the_end_drops_what_runs_and_what_never_began() {
    let instance = BASE + 3;
    let count = Arc::default();
    let heard = opened_counting(instance, Duration::from_millis(20), &count);
    let (dropped, drops) = channel();
    for _ in 0..OPERATIONS {
        begin(instance, || Ok(endless(dropped.clone()))).expect("begins");
    }
    let one_more = begin(instance, || Ok(endless(dropped.clone())));
    assert_eq!(one_more, Err(Denied::TooLarge));
    drop(dropped);
    assert_eq!(count.load(Ordering::SeqCst), 1024);
    run(end(instance));
    assert_eq!(count.load(Ordering::SeqCst), 0);
    // One more never was: there was no room to make it.
    assert_eq!(drops.iter().count(), OPERATIONS);
    assert!(heard.recv().is_err());
}

#[test]
fn an_unused_background_ends_at_once() {
    let instance = BASE + 4;
    let heard = opened(instance, Duration::ZERO);
    run(end(instance));
    assert!(heard.recv().is_err());
    assert_eq!(
        begin(instance, || Ok(ready(abi::SG_OK))),
        Err(Denied::Stale)
    );
}

/// What the calls of a background come to, one after the other; then they return.
struct Scripted(Mutex<Vec<Answer>>, Mutex<Sender<&'static str>>);

type Answer = fn(Told) -> Called;

impl Hooks for Scripted {
    fn takes_ticks(&self) -> bool {
        true
    }

    fn takes_events(&self) -> bool {
        true
    }

    fn count_pending(&self, _: i64) {}

    fn call(&self, told: Told, _: Arc<AtomicBool>) -> Pin<Box<dyn Future<Output = Called>>> {
        let next = lock(&self.0).pop();
        let called = next.map_or(Called::Returned, |next| next(told));
        let word = match called {
            Called::Returned => "returned",
            Called::Late(_) => "late",
            Called::Never => "never",
        };
        let _ = lock(&self.1).send(word);
        Box::pin(std::future::ready(called))
    }
}

fn scripted(instance: InstanceTok, script: &[fn(Told) -> Called]) -> Receiver<&'static str> {
    let (told, heard) = channel();
    let hooks = Scripted(Mutex::new(script.to_vec()), Mutex::new(told));
    open(instance, Arc::new(hooks));
    heard
}

#[test]
fn what_comes_while_another_call_is_late_is_told_later() {
    let instance = BASE + 5;
    let heard = scripted(instance, &[Called::Late, Called::Late]);
    begin(instance, || Ok(ready(1))).expect("begins");
    for word in ["late", "late", "returned"] {
        assert_eq!(heard.recv_timeout(LONG), Ok(word));
    }
    begin(instance, || Ok(ready(2))).expect("it may still be called");
    assert_eq!(heard.recv_timeout(LONG), Ok("returned"));
    run(end(instance));
    assert!(heard.recv().is_err(), "each is told once");
}

#[test]
fn nothing_begins_once_a_call_has_not_returned() {
    let instance = BASE + 6;
    let heard = scripted(instance, &[|_| Called::Never]);
    let (dropped, drops) = channel();
    begin(instance, || Ok(endless(dropped))).expect("begins");
    wake(instance).expect("is there");
    assert_eq!(heard.recv_timeout(LONG), Ok("never"));
    // Dropped when all is given up.
    assert_eq!(drops.recv_timeout(LONG).as_deref(), Ok("dropped"));
    assert_eq!(begin(instance, || Ok(ready(0))), Err(Denied::Unavailable));
    assert_eq!(pending(instance), 0);
    run(end(instance));
    assert!(heard.recv().is_err());
}
