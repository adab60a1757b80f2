//! The streams of a connection: that there are any, when they end, and when a head comes beside them.

use std::time::Duration;

use super::*;
use crate::activity::Overdue;
use crate::activity::tests::{Bell, LIMITS, clock_moves_on, due};

pub(super) fn connection() -> Rc<Activity> {
    let connection = Rc::new(Activity::new(Instant::now()));
    connection.speaks_in_streams();
    connection.settled();
    connection
}

#[test]
fn a_connection_is_idle_while_it_has_no_streams() {
    let connection = connection();
    assert_eq!(due(&connection), Some(Overdue::Idle));
    connection.read();
    assert_eq!(due(&connection), Some(Overdue::Idle), "a ping is no head");
    let streams: Vec<_> = (0..3).map(|_| Activity::stream(&connection)).collect();
    assert_eq!((due(&connection), connection.streams()), (None, 3));
    let [first, second, third] = streams.try_into().unwrap();
    drop(first);
    drop(third);
    drop(second);
    assert_eq!(
        (due(&connection), connection.streams()),
        (Some(Overdue::Idle), 0)
    );
    connection.drain();
    assert_eq!(due(&connection), Some(Overdue::Linger));
}

#[test]
fn a_head_that_does_not_end_has_its_limit_beside_running_streams() {
    let connection = connection();
    let _stream = Activity::stream(&connection);
    connection.head_comes();
    assert_eq!(due(&connection), Some(Overdue::Head));
    connection.head_came();
    assert_eq!(due(&connection), None);
}

#[test]
fn a_head_has_its_time_from_its_first_frame() {
    let connection = connection();
    let _stream = Activity::stream(&connection);
    let before = Instant::now();
    connection.head_comes();
    let first = connection.deadline(&LIMITS);
    let begun = first.unwrap().0 - LIMITS.header;
    assert!(begun >= before && begun <= Instant::now());
    clock_moves_on();
    connection.head_comes();
    assert_eq!(connection.deadline(&LIMITS), first);
}

#[test]
fn a_connection_is_idle_again_from_the_end_of_its_last_stream() {
    let connection = connection();
    let streams = [Activity::stream(&connection), Activity::stream(&connection)];
    let [first, last] = streams;
    drop(first);
    assert_eq!(connection.idle_since(), None);
    let before = Instant::now();
    drop(last);
    assert!(connection.idle_since().unwrap() >= before);
    let stream = Activity::stream(&connection);
    connection.lingers();
    drop(stream);
    assert_eq!(due(&connection), Some(Overdue::Linger), "it stays closed");
}

#[test]
fn a_client_that_settles_late_takes_nothing_from_a_running_stream() {
    let connection = Rc::new(Activity::new(Instant::now()));
    connection.speaks_in_streams();
    assert_eq!(due(&connection), Some(Overdue::Head));
    let _stream = Activity::stream(&connection);
    connection.settled();
    assert_eq!(due(&connection), None);
}

#[test]
fn streams_end_in_any_order() {
    let connection = connection();
    let mut streams: Vec<_> = (0..5).map(|_| Activity::stream(&connection)).collect();
    for at in [1, 3, 0, 1, 0] {
        drop(streams.remove(at));
        assert_eq!(connection.streams(), streams.len());
        let open = connection.many.open.borrow();
        for stream in &streams {
            let own = stream.within.as_ref().unwrap().at.get();
            assert!(std::ptr::eq(open[own].as_ptr(), Rc::as_ptr(stream)));
        }
    }
}

#[test]
fn a_stream_is_told_from_its_connection() {
    let connection = connection();
    let stream = Activity::stream(&connection);
    assert!(stream.is_stream() && !connection.is_stream());
    assert!(std::ptr::eq(
        stream.connection().unwrap(),
        Rc::as_ptr(&connection)
    ));
    assert!(connection.connection().is_none());
}

#[test]
fn frames_that_ask_for_nothing_are_noted() {
    let connection = connection();
    assert!(!connection.has_flooded());
    connection.floods();
    assert!(connection.has_flooded());
}

#[test]
fn a_stream_ends_with_its_connection_and_is_told() {
    let connection = connection();
    let (stream, other) = (Activity::stream(&connection), Activity::stream(&connection));
    assert!(!connection.is_ending() && !stream.is_ending());
    let (bell, waker) = Bell::new();
    stream.watch(&waker);
    other.drain();
    assert!(other.is_ending() && !connection.is_ending() && !stream.is_ending());
    assert_eq!(bell.rang(), 0);
    connection.drain();
    assert!(connection.is_ending() && stream.is_ending());
    assert_eq!(bell.rang(), 1);
}

#[test]
fn what_a_client_may_still_take_has_no_part_in_the_limits_of_a_connection() {
    let alone = Activity::new(Instant::now());
    alone.piece_leaves(Duration::ZERO);
    assert!(!alone.is_handing_over() && !alone.is_blocked());
    assert_eq!(alone.pieces(), 0);
}
