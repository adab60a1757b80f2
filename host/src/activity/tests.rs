//! The record of a connection: what came, what went, and whom it wakes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;
use std::time::Duration;

use super::*;
use crate::config::ready::ClientTimeouts;

pub(super) const LIMITS: ClientTimeouts = ClientTimeouts {
    handshake: Duration::from_secs(10),
    header: Duration::from_secs(10),
    body: Duration::from_secs(30),
    idle: Duration::from_secs(60),
};

pub(super) fn due(activity: &Activity) -> Option<Overdue> {
    activity.deadline(&LIMITS).map(|(_, what)| what)
}

/// A connection between two exchanges.
pub(super) fn idle(since: Instant) -> Activity {
    let activity = Activity::new(since);
    activity.exchange_begins();
    activity.exchange_ends(since);
    activity
}

/// An instant that is over for certain.
pub(super) fn earlier() -> Instant {
    Instant::now().checked_sub(Duration::from_secs(1)).unwrap()
}

/// Returns once the clock has moved on, which it does from one look at it to another or soon after.
pub(super) fn clock_moves_on() {
    let now = Instant::now();
    while Instant::now() <= now {}
}

/// Counts how often it was woken.
#[derive(Default)]
pub(super) struct Bell(AtomicUsize);

impl Bell {
    pub(super) fn new() -> (Arc<Self>, Waker) {
        let bell = Arc::new(Self::default());
        (Arc::clone(&bell), Waker::from(bell))
    }

    pub(super) fn rang(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_head_begins_with_its_first_byte_or_the_end_of_the_handshakes() {
    let now = Instant::now();
    let activity = Activity::new(now);
    let shaken = now + Duration::from_secs(5);
    activity.shook_hands(shaken);
    assert_eq!(
        activity.deadline(&LIMITS),
        Some((shaken + LIMITS.header, Overdue::Head))
    );
    let activity = idle(earlier());
    let before = Instant::now();
    activity.read();
    let (at, what) = activity.deadline(&LIMITS).unwrap();
    assert_eq!(what, Overdue::Head);
    assert!(at >= before + LIMITS.header && at <= Instant::now() + LIMITS.header);
}

#[test]
fn time_to_be_idle_begins_when_the_last_byte_has_gone_either_way() {
    let ways: [fn(&Activity); 2] = [
        |activity| {
            activity.wrote(true);
            activity.wrote(false);
        },
        |activity| {
            activity.body_begins();
            activity.body_ends(true);
        },
    ];
    for way in ways {
        let ended = earlier();
        let activity = idle(ended);
        assert_eq!(activity.idle_since(), Some(ended));
        let before = Instant::now();
        way(&activity);
        assert!(activity.idle_since().unwrap() >= before);
    }
    let activity = Activity::new(Instant::now());
    activity.exchange_begins();
    activity.body_begins();
    activity.body_ends(true);
    assert_eq!(activity.idle_since(), None, "its exchange still runs");
}

#[test]
fn a_client_that_takes_nothing_has_its_time_from_the_first_byte_it_did_not_take() {
    let activity = idle(Instant::now());
    assert!(!activity.is_blocked());
    activity.wrote(true);
    assert!(activity.is_blocked());
    let first = activity.deadline(&LIMITS);
    clock_moves_on();
    activity.wrote(true);
    assert_eq!(activity.deadline(&LIMITS), first);
    activity.wrote(false);
    assert!(!activity.is_blocked());
}

#[test]
fn the_end_of_a_body_in_chunks_is_awaited_until_it_came() {
    let activity = Activity::new(Instant::now());
    assert!(!activity.awaits_end());
    activity.comes_in_chunks(true);
    assert!(activity.awaits_end());
    activity.body_ends(false);
    assert!(activity.awaits_end(), "it was given up, and still comes");
    activity.end_came();
    assert!(!activity.awaits_end());
    activity.comes_in_chunks(true);
    activity.body_ends(true);
    assert!(!activity.awaits_end());
}

#[test]
fn what_is_not_taken_is_given_up_once_that_is_said() {
    let activity = Activity::new(Instant::now());
    assert!(!activity.has_given_up());
    activity.gives_up();
    assert!(activity.has_given_up());
}

#[test]
fn whoever_watched_last_is_woken_once() {
    let activity = Activity::new(Instant::now());
    let ((first, by_first), (last, by_last)) = (Bell::new(), Bell::new());
    activity.watch(&by_first);
    activity.watch(&by_last);
    activity.drain();
    assert_eq!((first.rang(), last.rang()), (0, 1));
    activity.drain();
    assert_eq!(last.rang(), 1, "it asks anew when it has been told");
}

#[test]
fn a_connection_that_rests_keeps_nothing_of_a_head() {
    let activity = idle(Instant::now());
    activity.hears(b"GET /");
    activity.rests(false);
    assert!(activity.heard_of_none().is_some());
    activity.rests(true);
    assert!(activity.heard_of_none().is_none());
}

#[test]
fn an_exchange_serves_its_generation_until_plugins_see_nothing_of_it() {
    let activity = Activity::new(Instant::now());
    activity.exchange_begins();
    activity.holds(1);
    assert!(activity.serves_before(2) && !activity.serves_before(1));
    activity.is_outlived(true);
    activity.exchange_ends(Instant::now());
    assert!(activity.serves_before(2), "its body still comes");
    activity.is_outlived(false);
    assert!(!activity.serves_before(2));
}

#[test]
fn of_a_connection_with_streams_the_streams_are_asked_what_they_serve() {
    let connection = Activity::new(Instant::now());
    connection.exchange_begins();
    connection.holds(1);
    connection.speaks_in_streams();
    assert!(!connection.serves_before(2));
}
