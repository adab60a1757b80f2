//! What follows when a limit is over. Moments that are long gone stand for time that has passed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

const LIMITS: ClientTimeouts = ClientTimeouts {
    handshake: HOUR,
    header: HOUR,
    body: HOUR,
    idle: HOUR,
};

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Polls a guard twice, as its task does when it wakes itself up; with whether it is woken afterwards by a drain.
fn polled(activity: &Rc<Activity>, timeouts: ClientTimeouts) -> (Option<Overdue>, bool) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build().unwrap();
    let _inside = runtime.enter();
    let mut guard = Guard::new(Rc::clone(activity), timeouts);
    if timeouts == EARLY {
        guard.timer.as_mut().reset(long_ago().into());
    }
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    for _ in 0..2 {
        if let Poll::Ready(overdue) = guard.poll(&mut cx) {
            return (Some(overdue), false);
        }
    }
    woken.0.store(false, Ordering::Relaxed);
    activity.drain();
    (None, woken.0.load(Ordering::Relaxed))
}

fn long_ago() -> Instant {
    Instant::now()
        .checked_sub(HOUR * 2)
        .unwrap_or_else(Instant::now)
}

fn running() -> Rc<Activity> {
    let activity = Rc::new(Activity::new(Instant::now()));
    activity.exchange_begins();
    activity
}

#[test]
fn who_has_time_left_goes_on_and_can_be_woken() {
    let fresh = Rc::new(Activity::new(Instant::now()));
    assert_eq!(polled(&fresh, LIMITS), (None, true));
    assert_eq!(polled(&running(), LIMITS), (None, true));
}

#[test]
fn a_head_that_does_not_end_is_overdue() {
    let slow = Rc::new(Activity::new(long_ago()));
    assert_eq!(polled(&slow, LIMITS).0, Some(Overdue::Head));
    assert!(!slow.has_given_up());
}

#[test]
fn a_connection_that_asks_for_nothing_is_overdue() {
    let idle = running();
    idle.exchange_ends(long_ago());
    let none = ClientTimeouts {
        idle: Duration::from_millis(1),
        ..LIMITS
    };
    assert_eq!(polled(&idle, none).0, Some(Overdue::Idle));
}

#[test]
fn an_answer_that_nobody_takes_is_given_up() {
    let blocked = running();
    blocked.wrote(true);
    let none = ClientTimeouts {
        body: Duration::ZERO,
        ..LIMITS
    };
    assert_eq!(polled(&blocked, none).0, Some(Overdue::Answer));
    assert!(blocked.has_given_up());
}

#[test]
fn a_late_upstream_is_told_to_the_exchange_alone() {
    let waiting = running();
    waiting.expect_answer(Some(long_ago()));
    assert_eq!(polled(&waiting, LIMITS), (None, true));
    assert!(waiting.is_answer_late());
    let patient = running();
    patient.expect_answer(Instant::now().checked_add(HOUR));
    assert_eq!(polled(&patient, LIMITS).0, None);
    assert!(!patient.is_answer_late());
}

#[test]
fn the_time_for_all_of_it_ends_an_answer_that_nobody_takes() {
    let asking = running();
    asking.limit_total(Some(long_ago()));
    assert_eq!(polled(&asking, LIMITS), (None, true));
    assert!(asking.is_total_over() && !asking.has_given_up());
    let blocked = running();
    blocked.limit_total(Some(long_ago()));
    blocked.wrote(true);
    assert_eq!(polled(&blocked, LIMITS).0, Some(Overdue::Total));
    assert!(blocked.is_total_over() && blocked.has_given_up());
}

/// The timer is over at the first look, and what it was set for has moved.
const EARLY: ClientTimeouts = ClientTimeouts {
    header: Duration::ZERO,
    ..LIMITS
};

#[test]
fn a_timer_that_is_over_before_any_limit_changes_nothing() {
    let later = || Instant::now().checked_add(HOUR);
    let asking = running();
    asking.expect_answer(later());
    assert_eq!(polled(&asking, EARLY), (None, true));
    assert!(!asking.is_answer_late());
    let limited = running();
    limited.limit_total(later());
    assert_eq!(polled(&limited, EARLY), (None, true));
    assert!(!limited.is_total_over());
    let waiting = running();
    waiting.wait_begins();
    assert_eq!(polled(&waiting, EARLY), (None, true));
    assert!(!waiting.looks());
    let blocked = running();
    blocked.wrote(true);
    assert_eq!(polled(&blocked, EARLY), (None, true));
    assert!(!blocked.has_given_up());
}

#[test]
fn who_waits_for_a_plugin_is_looked_for() {
    let waiting = running();
    waiting.wait_begins();
    waiting.look_is_due(long_ago());
    assert!(waiting.looks(), "said once");
    assert_eq!(polled(&waiting, LIMITS), (None, true));
    assert!(waiting.looks());
}

#[test]
fn streams_are_looked_through_when_one_is_late() {
    let connection = Rc::new(Activity::new(Instant::now()));
    connection.speaks_in_streams();
    connection.settled();
    let (late, patient) = (Activity::stream(&connection), Activity::stream(&connection));
    late.exchange_begins();
    patient.exchange_begins();
    late.expect_answer(Some(long_ago()));
    patient.expect_answer(Instant::now().checked_add(HOUR));
    assert_eq!(polled(&connection, LIMITS), (None, true));
    assert!(late.is_answer_late() && !patient.is_answer_late());
    let calm = Rc::new(Activity::new(Instant::now()));
    calm.speaks_in_streams();
    calm.settled();
    let stream = Activity::stream(&calm);
    stream.exchange_begins();
    stream.expect_answer(Instant::now().checked_add(HOUR));
    assert_eq!(polled(&calm, EARLY), (None, true));
    assert!(!stream.is_answer_late());
}
