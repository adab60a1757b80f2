//! Targets that are ejected, checked, removed and configured again.

use super::*;
use crate::config::ready::{HealthCheck, Statuses};

fn passive(failures: u32) -> PassiveHealth {
    PassiveHealth {
        failures,
        statuses: Statuses::default(),
        eject: Duration::from_secs(3600),
        max_eject: Duration::from_secs(3600),
        max_ejected: 50,
    }
}

fn two() -> [TargetHealth; 2] {
    let upstream: Arc<UpstreamHealth> = Arc::default();
    [80, 81].map(|port| {
        let target = std::net::SocketAddr::from(([10, 0, 0, 1], port)).into();
        TargetHealth::new(Arc::clone(&upstream), target, 0)
    })
}

#[test]
fn failures_in_a_row_eject_and_a_good_answer_begins_anew() {
    let [target, _] = two();
    let fail = || target.failed(&passive(3), 2, Fault::Useless("no answer"));
    fail();
    fail();
    target.succeeded();
    fail();
    fail();
    assert!(target.is_in_rotation());
    fail();
    assert!(!target.is_in_rotation());
    fail();
    assert_eq!(target.ejections(), 1);
    let (standing, _) = target.standing();
    assert_eq!(standing.state, "ejected");
    assert!(target.look().is_some(), "its time is not over");
    assert!(standing.until_ms > standing.since_ms);
}

#[test]
fn only_so_many_are_ejected_at_a_time() {
    let [one, two] = two();
    one.failed(&passive(1), 2, Fault::Useless("no answer"));
    two.failed(&passive(1), 2, Fault::Useless("no answer"));
    assert_eq!((one.is_in_rotation(), two.is_in_rotation()), (false, true));
    one.configured(&Health::default());
    assert!(one.is_in_rotation(), "nobody ejects any more");
    assert!(one.since_ms() > 0, "it has come back");
    one.failed(&passive(1), 2, Fault::Useless("no answer"));
    assert!(one.is_in_rotation(), "an older generation ejects nobody");
    two.failed(&passive(1), 2, Fault::Useless("no answer"));
    assert!(!two.is_in_rotation());
    assert_eq!((most(10, 50), most(1, 50), most(3, 0)), (5, 1, 1));
}

#[test]
fn whoever_is_judged_again_begins_anew() {
    let [one, _] = two();
    one.configured(&Health::default());
    let fail = || one.failed(&passive(2), 2, Fault::Useless("no answer"));
    fail();
    fail();
    let health = Health {
        active: None,
        passive: Some(passive(2)),
    };
    one.configured(&health);
    fail();
    assert!(one.is_in_rotation(), "only this one counts");
    one.configured(&health);
    fail();
    assert!(!one.is_in_rotation());
}

#[test]
fn whoever_leaves_gives_its_place_to_others() {
    let [one, two] = two();
    one.failed(&passive(1), 2, Fault::Useless("no answer"));
    one.removed();
    two.failed(&passive(1), 2, Fault::Useless("no answer"));
    assert!(!two.is_in_rotation());
    let health = Health {
        active: None,
        passive: Some(passive(1)),
    };
    one.configured(&health);
    assert!(one.is_in_rotation());
    two.configured(&health);
    assert!(!two.is_in_rotation(), "a reload changes nothing");
}

#[test]
fn other_checks_come_to_their_own_conclusion() {
    let [target, _] = two();
    let settings = |healthy, unhealthy| ActiveHealth {
        check: HealthCheck::Tcp,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        jitter: 0,
        healthy,
        unhealthy,
    };
    let bad = |settings: &ActiveHealth| {
        let refused = (CheckResult::ConnectError, "refused".into());
        target.checked(settings, Duration::ZERO, Err(refused));
    };
    bad(&settings(1, 3));
    bad(&settings(1, 3));
    target.begin_checks();
    bad(&settings(1, 2));
    assert!(target.is_in_rotation(), "one of its own is not two");
    bad(&settings(1, 2));
    assert!(!target.is_in_rotation());
    target.checked(&settings(2, 2), Duration::ZERO, Ok(()));
    target.begin_checks();
    target.checked(&settings(2, 2), Duration::ZERO, Ok(()));
    assert!(!target.is_in_rotation(), "it stays down until they know");
    target.checked(&settings(2, 2), Duration::ZERO, Ok(()));
    assert!(target.is_in_rotation());
}

#[test]
fn checks_are_counted_by_what_they_came_to() {
    let [target, _] = two();
    let settings = ActiveHealth {
        check: HealthCheck::Tcp,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        jitter: 0,
        healthy: 1,
        unhealthy: 1,
    };
    let took = Duration::from_millis(3);
    target.checked(&settings, took, Err((CheckResult::Timeout, "late".into())));
    assert!(!target.is_in_rotation());
    target.checked(&settings, took, Ok(()));
    assert!(target.is_in_rotation());
    let counted: Vec<_> = target.checks().filter(|(_, count)| *count > 0).collect();
    assert_eq!(counted, [("ok", 1), ("timeout", 1)]);
    let (_, last) = target.standing();
    let last = last.expect("there was one");
    assert_eq!((last.took, last.error), (took, None));
}
