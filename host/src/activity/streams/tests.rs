//! What streams do to the one timer of their connection.

use std::time::Duration;

use super::*;
use crate::activity::Overdue;
use crate::activity::deadline::LINGER;
use crate::activity::tests::{LIMITS, due};

fn connection() -> Rc<Activity> {
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
fn the_nearest_limit_is_found_and_only_who_is_late_is_told() {
    let connection = connection();
    let now = Instant::now();
    let (early, late) = (Activity::stream(&connection), Activity::stream(&connection));
    let at = |seconds| now.checked_add(Duration::from_secs(seconds));
    late.expect_answer(at(9));
    early.expect_answer(at(3));
    assert_eq!(
        connection.deadline(&LIMITS),
        Some((at(3).unwrap(), Overdue::Streams))
    );
    assert_eq!(
        connection.look_through(at(3).unwrap(), &LIMITS),
        Through::Told
    );
    assert!(early.is_answer_late() && !late.is_answer_late());
    assert_eq!(
        connection.deadline(&LIMITS),
        Some((at(9).unwrap(), Overdue::Streams))
    );
}

#[test]
fn an_answer_that_is_not_taken_ends_its_stream_alone() {
    let connection = connection();
    let (slow, stalled) = (Activity::stream(&connection), Activity::stream(&connection));
    slow.piece_leaves(LIMITS.body);
    stalled.piece_leaves(LIMITS.body);
    slow.piece_moves();
    let later = Instant::now() + LIMITS.body;
    assert_eq!(connection.look_through(later, &LIMITS), Through::Told);
    assert!(!slow.is_cut() && stalled.is_cut());
    slow.piece_left();
    assert!(!slow.is_handing_over());
}

#[test]
fn what_nobody_drives_ends_the_connection_once_nothing_else_runs() {
    let connection = connection();
    let (stuck, other) = (Activity::stream(&connection), Activity::stream(&connection));
    stuck.piece_leaves(LIMITS.body);
    stuck.driven_no_more();
    let mut later = Instant::now() + LIMITS.body;
    assert_eq!(connection.look_through(later, &LIMITS), Through::Told);
    assert!(connection.is_draining(), "the client is told to begin anew");
    drop(other);
    later += LINGER;
    assert_eq!(connection.look_through(later, &LIMITS), Through::Stuck);
}

#[test]
fn a_body_that_outlives_its_answer_ends_with_its_generation() {
    let connection = connection();
    let stream = Activity::stream(&connection);
    stream.exchange_begins();
    stream.holds(1);
    stream.body_begins();
    assert!(!stream.is_cut_for(Waker::noop()));
    stream.is_outlived(true);
    stream.exchange_ends(Instant::now());
    stream.driven_no_more();
    assert_eq!(connection.cut_before(1), 0);
    assert_eq!(connection.cut_before(2), 1);
    assert!(stream.is_cut_for(Waker::noop()));
    assert_eq!(connection.cut_before(2), 0, "once");
}
