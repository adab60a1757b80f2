//! Targets that come get their share gradually.

use swapgate_tests::{Gateway, wait_for};

use super::{counts, entries, targets, text};

#[test]
fn the_share_of_a_target_that_came_grows() {
    let targets = targets(3);
    let keys = "algorithm: round-robin, slow_start: 10s";
    let gateway = Gateway::with(&text(keys, &entries(&targets[..2]))).start();
    // Who was there from the beginning has no slow start: nobody else could take the load.
    let first = counts(gateway.address(), 200);
    assert!(first[&0].abs_diff(100) <= 2, "{first:?}");

    gateway.reload_published(&text(keys, &entries(&targets)));
    let share = || counts(gateway.address(), 150).get(&2).copied().unwrap_or(0);
    let mut shares = vec![share()];
    // It begins with a tenth of a third; a machine may take its time until it is asked.
    assert!(shares[0] < 35, "{shares:?} of 150");
    wait_for("the whole share", || {
        shares.push(share());
        (shares.last() >= Some(&48)).then_some(())
    });
    let third = shares.len() / 3;
    let sum = |shares: &[usize]| shares.iter().sum::<usize>();
    let (begin, end) = (sum(&shares[..third]), sum(&shares[shares.len() - third..]));
    assert!(begin < end || third == 0, "{shares:?}");
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
