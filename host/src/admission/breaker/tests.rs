//! Breakers that open, are tried and close.

use super::*;
use crate::admission::window::Sums;
use crate::config::ready::Statuses;

fn settings(trials: u32) -> UpstreamBreaker {
    UpstreamBreaker {
        failures: 50,
        requests: 4,
        window: Duration::from_secs(10),
        open: Duration::from_secs(5),
        trials,
        statuses: Statuses::default(),
        fallback: None,
    }
}

fn breaker(trials: u32) -> Breaker {
    Breaker::new(Arc::from("users"), 1, &settings(trials))
}

#[track_caller]
fn run(breaker: &Breaker, outcomes: &[bool], now: u64) {
    for outcome in outcomes {
        breaker.enter(now).unwrap().came_to(*outcome, now);
    }
}

#[track_caller]
fn check(breaker: &Breaker, state: &str, came_to: [u64; 3]) {
    let figures = breaker.figures(0);
    assert_eq!((figures.state, figures.came_to), (state, came_to));
}

#[test]
fn it_opens_with_enough_failures_and_not_before() {
    let breaker = breaker(2);
    run(&breaker, &[false, false, true], 0);
    check(&breaker, "closed", [0; 3]);
    run(&breaker, &[true, true, true], 1000);
    run(&breaker, &[false], 1500);
    check(&breaker, "closed", [0; 3]);
    run(&breaker, &[false], 1500);
    check(&breaker, "open", [0, 0, 1]);
    assert_eq!(breaker.enter(1500).unwrap_err(), Duration::from_secs(5));
    assert_eq!(breaker.enter(6499).unwrap_err(), Duration::from_millis(1));
    assert_eq!(
        breaker.figures(2000).left,
        Some(Duration::from_millis(4500))
    );
    assert_eq!(breaker.figures(2000).refused, 2);
}

#[test]
fn old_failures_do_not_open_it() {
    let breaker = breaker(2);
    run(&breaker, &[false, false, false], 0);
    run(&breaker, &[false], 10_000);
    check(&breaker, "closed", [0; 3]);
    run(&breaker, &[false, false, false], 10_000);
    check(&breaker, "open", [0, 0, 1]);
}

#[test]
fn trials_are_counted_and_all_must_go_well() {
    let breaker = breaker(2);
    run(&breaker, &[false; 4], 0);
    let (one, two) = (breaker.enter(5000).unwrap(), breaker.enter(5000).unwrap());
    check(&breaker, "half-open", [0, 1, 1]);
    assert_eq!(breaker.enter(5000).unwrap_err(), Duration::ZERO);
    drop(one);
    let three = breaker.enter(5000).unwrap();
    assert!(breaker.enter(5000).is_err());
    two.came_to(true, 5001);
    assert!(breaker.enter(5001).is_err(), "a good trial makes no room");
    three.came_to(true, 5002);
    check(&breaker, "closed", [1, 1, 1]);
    assert_eq!(breaker.figures(5002).sums, Sums::default());
    run(&breaker, &[false; 3], 5003);
    check(&breaker, "closed", [1, 1, 1]);
}

#[test]
fn a_failed_trial_opens_it_again_and_late_ones_say_nothing() {
    let breaker = breaker(2);
    let early = breaker.enter(0).unwrap();
    run(&breaker, &[false; 4], 0);
    early.came_to(false, 1);
    check(&breaker, "open", [0, 0, 1]);
    let (one, late) = (breaker.enter(5000).unwrap(), breaker.enter(5000).unwrap());
    one.came_to(false, 6000);
    check(&breaker, "open", [0, 1, 2]);
    assert_eq!(breaker.enter(6000).unwrap_err(), Duration::from_secs(5));
    let (_a, _b) = (
        breaker.enter(11_000).unwrap(),
        breaker.enter(11_000).unwrap(),
    );
    late.came_to(true, 11_000);
    assert!(breaker.enter(11_000).is_err());
    check(&breaker, "half-open", [0, 2, 2]);
}

#[test]
fn new_settings_count_from_now_on() {
    let breaker = breaker(2);
    run(&breaker, &[false; 3], 0);
    breaker.set(&UpstreamBreaker {
        requests: 3,
        ..settings(1)
    });
    run(&breaker, &[true], 0);
    check(&breaker, "closed", [0; 3]);
    run(&breaker, &[false], 0);
    check(&breaker, "open", [0, 0, 1]);
    run(&breaker, &[true], 5000);
    check(&breaker, "closed", [1, 1, 1]);
}

#[test]
fn fewer_trials_than_went_well_close_it() {
    let breaker = breaker(3);
    run(&breaker, &[false; 4], 0);
    run(&breaker, &[true], 5000);
    check(&breaker, "half-open", [0, 1, 1]);
    breaker.set(&settings(2));
    check(&breaker, "half-open", [0, 1, 1]);
    breaker.set(&settings(1));
    check(&breaker, "closed", [1, 1, 1]);
    assert_eq!(breaker.figures(5000).sums, Sums::default());
    assert!(breaker.enter(5000).is_ok());
}

#[test]
fn trials_that_do_not_end_make_room_for_others() {
    let breaker = breaker(2);
    run(&breaker, &[false; 4], 0);
    let (one, two) = (breaker.enter(5000).unwrap(), breaker.enter(6000).unwrap());
    assert_eq!(breaker.enter(10_999).unwrap_err(), Duration::ZERO);
    assert!(breaker.refuses(10_999).is_some());
    assert!(breaker.refuses(11_000).is_none());
    let (three, four) = (
        breaker.enter(11_000).unwrap(),
        breaker.enter(11_000).unwrap(),
    );
    assert!(
        breaker.enter(11_000).is_err(),
        "no more at once than it says"
    );
    drop(one);
    assert!(breaker.enter(11_000).is_err(), "it had no place any more");
    two.came_to(true, 11_001);
    drop(four);
    check(&breaker, "half-open", [0, 1, 1]);
    assert!(
        breaker.enter(11_001).is_err(),
        "one went well, one is tried"
    );
    three.came_to(true, 11_002);
    check(&breaker, "closed", [1, 1, 1]);
}
