//! Targets that go out of rotation and come back.

use std::sync::Arc;

use super::*;
use crate::config::ready::{ActiveHealth, HealthCheck, PassiveHealth, Statuses};
use crate::health::outcome::Fault;
use crate::health::upstream::UpstreamHealth;

fn active(healthy: u32, unhealthy: u32) -> ActiveHealth {
    ActiveHealth {
        check: HealthCheck::Tcp,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        jitter: 0,
        healthy,
        unhealthy,
    }
}

fn passive(eject: u64, max_eject: u64) -> PassiveHealth {
    PassiveHealth {
        failures: 3,
        statuses: Statuses::default(),
        eject: Duration::from_millis(eject),
        max_eject: Duration::from_millis(max_eject),
        max_ejected: 50,
    }
}

fn check(at_ms: u64, error: Option<&str>) -> LastCheck {
    LastCheck {
        at_ms,
        took: Duration::from_millis(1),
        error: error.map(str::to_owned),
    }
}

fn eject(state: &mut State, settings: &PassiveHealth, now: u64) {
    let place = Arc::<UpstreamHealth>::default().place(1).expect("a place");
    state.eject(settings, place, (3, Fault::Useless("no answer")), now);
}

#[test]
fn thresholds_count_checks_in_a_row() {
    let settings = active(2, 3);
    let mut state = State::default();
    let results = [
        // Two bad ones do not suffice, and a good one in between begins anew.
        (Some("a"), true),
        (Some("b"), true),
        (None, true),
        (Some("c"), true),
        (Some("d"), true),
        (Some("e"), false),
        (Some("f"), false),
        (None, false),
        (Some("g"), false),
        (None, false),
        (None, true),
    ];
    for (at, (error, is_in)) in (1..).zip(results) {
        state.checked(&settings, check(at, error));
        assert_eq!(state.is_in(), is_in, "after check {at}");
    }
}

#[test]
fn a_fall_is_told_once_and_its_reason_stays_fresh() {
    let settings = active(1, 1);
    let mut state = State::default();
    let out = state.checked(&settings, check(5, Some("refused")));
    assert_eq!(out.0, [Turn::Out("a check failed: refused".to_owned())]);
    assert!(
        state
            .checked(&settings, check(6, Some("late")))
            .0
            .is_empty()
    );
    let standing = state.standing();
    assert_eq!((standing.state, standing.since_ms), ("down", Some(5)));
    assert_eq!(
        standing.reason.as_deref(),
        Some("2 checks in a row failed, the last one: late")
    );
    let back = state.checked(&settings, check(7, None));
    assert_eq!(back.0, [Turn::Back("a check was good".to_owned())]);
    assert!(state.checked(&settings, check(8, None)).0.is_empty());
}

#[test]
fn each_ejection_that_follows_soon_lasts_twice_as_long() {
    let settings = passive(100, 500);
    let mut state = State::default();
    let mut now = 1_000;
    for lasts in [100, 200, 400, 500, 500] {
        eject(&mut state, &settings, now);
        assert_eq!(state.returns_at(), Some(now + lasts));
        assert!(state.returns(now + lasts - 1).is_none());
        let (_, forgiven) = state.returns(now + lasts).expect("its time is over");
        assert_eq!(forgiven, 2, "one more failure ejects it again");
        now += lasts + 1;
    }
    // It was back for as long as it had been away.
    now += 500;
    eject(&mut state, &settings, now);
    assert_eq!(state.returns_at(), Some(now + 100));
}

#[test]
fn doubling_never_overflows() {
    let settings = passive(1_000, u64::MAX);
    let mut state = State::default();
    for _ in 0..100 {
        eject(&mut state, &settings, 0);
        state.ejection = None;
    }
    eject(&mut state, &settings, 0);
    assert_eq!(state.returns_at(), Some(u64::MAX));
}

#[test]
fn checks_bring_back_before_its_time_whom_they_found_dead() {
    let (active, passive) = (active(2, 3), passive(60_000, 60_000));
    let mut state = State::default();
    eject(&mut state, &passive, 1);
    // Checks that are always good say nothing about what requests met.
    for at in 2..10 {
        assert!(state.checked(&active, check(at, None)).0.is_empty());
    }
    assert!(state.is_ejected());
    state.checked(&active, check(10, Some("refused")));
    state.checked(&active, check(11, None));
    assert!(state.is_ejected());
    let (back, forgiven) = state.checked(&active, check(12, None));
    assert_eq!((back.len(), forgiven), (1, Some(2)));
    assert!(state.is_in());
    assert_eq!(state.before.map(|before| before.returned), Some(12));
}

#[test]
fn checks_bring_back_before_its_time_who_was_gone() {
    let (active, passive) = (active(2, 3), passive(60_000, 60_000));
    let mut state = State::default();
    for at in 1..10 {
        state.checked(&active, check(at, None));
    }
    let place = Arc::<UpstreamHealth>::default().place(1).expect("a place");
    let fault = Fault::Gone("it took no connection");
    state.eject(&passive, place, (3, fault), 10);
    state.checked(&active, check(11, None));
    assert!(state.is_ejected(), "only what came after it counts");
    state.checked(&active, check(12, None));
    assert!(state.is_in());
}

#[test]
fn whoever_is_removed_is_forgotten() {
    let settings = active(1, 1);
    let mut state = State::default();
    state.checked(&settings, check(1, Some("refused")));
    eject(&mut state, &passive(100, 100), 2);
    let standing = state.standing();
    assert_eq!(standing.state, "down");
    let reason = standing.reason.expect("there are two");
    assert!(reason.contains("refused; 3 requests"), "{reason}");
    state.remove(7);
    state.remove(9);
    let standing = state.standing();
    assert_eq!((standing.state, standing.since_ms), ("draining", Some(7)));
    assert!(!state.is_in());
    assert!(state.come_again());
    assert!(state.is_in());
}

#[test]
fn settings_that_go_leave_nobody_out() {
    let mut state = State::default();
    state.checked(&active(1, 1), check(1, Some("refused")));
    eject(&mut state, &passive(100, 100), 2);
    assert!(state.forget_checks().is_some());
    assert!(!state.is_in());
    assert!(state.forget_requests().is_some());
    assert!(state.is_in());
    assert!(state.forget_checks().is_none());
}
