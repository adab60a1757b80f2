//! Targets that come get their share gradually.

use swapgate_tests::{Gateway, wait_for};

use super::{counts, entries, targets, text};

/// So many requests are counted at a time: of three alike each gets 50.
const ASKED: usize = 150;
/// What is as good as the whole share.
const WHOLE: usize = 48;
/// What is clearly neither the beginning nor the whole. It takes most of a slow start to pass, and whoever asks all the
/// while sees some of it, on a slow machine too.
const BETWEEN: std::ops::RangeInclusive<usize> = 12..=42;

#[test]
fn the_share_of_a_target_that_came_grows() {
    let targets = targets(3);
    let keys = "algorithm: round-robin, slow_start: 20s";
    let gateway = Gateway::with(&text(keys, &entries(&targets[..2]))).start();
    // Who was there from the beginning has no slow start: nobody else could take the load.
    let first = counts(gateway.address(), 200);
    assert!(first[&0].abs_diff(100) <= 2, "{first:?}");

    gateway.reload_published(&text(keys, &entries(&targets)));
    let share = || {
        counts(gateway.address(), ASKED)
            .get(&2)
            .copied()
            .unwrap_or(0)
    };
    let mut shares = vec![share()];
    // It begins with a tenth of its weight; a machine may take its time until it is asked.
    assert!(shares[0] < 35, "{shares:?} of {ASKED}");
    wait_for("the whole share", || {
        shares.push(share());
        (shares.last() >= Some(&WHOLE)).then_some(())
    });
    let between = shares.iter().any(|share| BETWEEN.contains(share));
    assert!(between, "it grew by a step: {shares:?} of {ASKED}");
}

#[test]
fn without_slow_start_a_target_that_came_has_its_share_at_once() {
    let targets = targets(2);
    let keys = "algorithm: round-robin";
    let gateway = Gateway::with(&text(keys, &entries(&targets[..1]))).start();
    gateway.reload_published(&text(keys, &entries(&targets)));
    let counts = counts(gateway.address(), 100);
    assert!(counts[&1].abs_diff(50) <= 2, "{counts:?}");
}
