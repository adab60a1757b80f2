//! What each stage of a connection is held to.

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

#[test]
fn each_stage_has_its_limit() {
    let activity = Activity::new(Instant::now());
    assert_eq!(due(&activity), Some(Overdue::Head));
    activity.exchange_begins();
    activity.read();
    assert_eq!(due(&activity), None);
    activity.wrote(true);
    assert_eq!(due(&activity), Some(Overdue::Answer));
    activity.wrote(false);
    activity.expect_answer(Some(Instant::now()));
    assert_eq!(due(&activity), Some(Overdue::Upstream));
    activity.answer_is_late();
    assert!(activity.is_answer_late());
    assert_eq!(due(&activity), None);
    activity.limit_total(Some(Instant::now()));
    assert_eq!(due(&activity), Some(Overdue::Total));
    activity.wrote(true);
    assert_eq!(due(&activity), Some(Overdue::Total), "it runs on");
    activity.wrote(false);
    activity.total_is_over();
    assert!(activity.is_total_over());
    assert_eq!(due(&activity), None);
    activity.body_begins();
    activity.exchange_ends(Instant::now());
    assert!(!activity.is_total_over(), "that was the one before");
    activity.read();
    assert_eq!(
        due(&activity),
        None,
        "a body that outlives its answer is no head"
    );
    activity.body_ends(true);
    assert_eq!(due(&activity), Some(Overdue::Quiet));
    activity.rests(true);
    assert_eq!(due(&activity), Some(Overdue::Idle));
    activity.rests(false);
    activity.read();
    let first = activity.deadline(&LIMITS);
    activity.read();
    assert_eq!(
        activity.deadline(&LIMITS),
        first,
        "more bytes of a head give it no more time"
    );
}

#[test]
fn only_who_holds_nothing_rests() {
    let idle = || {
        let activity = Activity::new(Instant::now());
        activity.exchange_begins();
        activity.exchange_ends(Instant::now());
        activity
    };
    assert_eq!(due(&idle()), Some(Overdue::Quiet));
    let activity = idle();
    activity.wrote(true);
    assert_eq!(due(&activity), Some(Overdue::Answer));
    let activity = idle();
    activity.body_begins();
    assert_eq!(due(&activity), None);
    activity.body_ends(false);
    assert_eq!(due(&activity), Some(Overdue::Idle), "bytes may come");
    let activity = idle();
    activity.drain();
    assert_eq!(due(&activity), Some(Overdue::Idle));
    let activity = idle();
    activity.speaks_in_streams();
    assert_eq!(due(&activity), Some(Overdue::Idle));
}

#[test]
fn who_was_told_to_end_is_heard_for_a_while() {
    let activity = Activity::new(Instant::now());
    assert!(
        !activity.is_deaf(Instant::now() + Duration::from_secs(3)),
        "it goes on"
    );
    activity.drain();
    assert!(!activity.is_deaf(Instant::now()));
    assert!(activity.is_deaf(Instant::now() + Duration::from_secs(3)));
}

#[test]
fn a_client_is_looked_for_while_a_hook_waits() {
    let activity = Activity::new(Instant::now());
    activity.exchange_begins();
    activity.wait_begins();
    activity.wait_begins();
    assert_eq!(due(&activity), Some(Overdue::Look));
    activity.look_is_due(Instant::now());
    assert!(activity.looks());
    assert!(!activity.looks(), "once");
    activity.wait_ends();
    assert_eq!(due(&activity), Some(Overdue::Look));
    activity.wait_ends();
    assert_eq!(due(&activity), None);
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
fn only_who_may_still_send_is_waited_for() {
    let activity = Activity::new(Instant::now());
    activity.exchange_begins();
    activity.exchange_ends(Instant::now());
    assert!(!activity.lingers());
    activity.body_ends(false);
    assert!(activity.lingers());
    assert_eq!(due(&activity), Some(Overdue::Linger));
}
