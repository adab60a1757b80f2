//! The algorithms over targets that are made up.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;

use super::least_requests::LeastRequests;
use super::level::Tiers;
use super::lots::Lots;
use super::ring::hash;
use super::round_robin::RoundRobin;
use super::slow_start::WHOLE;
use super::*;
use crate::config::ready::Algorithm;

/// A target that is made up.
struct One {
    weight: u32,
    share: u32,
    tier: u8,
    well: bool,
    seat: Rc<Seat>,
}

struct Group(Vec<One>);

fn group(weights: &[u32]) -> Group {
    let one = |weight: &u32| One {
        weight: *weight,
        share: WHOLE,
        tier: 0,
        well: true,
        seat: Rc::default(),
    };
    Group(weights.iter().map(one).collect())
}

impl Group {
    fn field<'a>(&'a self, tried: &'a Tried) -> Field<'a, Self> {
        Field::new(self, tried, Level::in_rotation(0))
    }

    fn weights(&self) -> impl ExactSizeIterator<Item = u32> {
        self.0.iter().map(|one| one.weight)
    }

    fn ring(&self) -> Ring {
        let named = |(at, one): (usize, &One)| {
            let (name, weight, _) = named((at, one.weight));
            (name, weight, one.tier)
        };
        let targets: Vec<_> = self.0.iter().enumerate().map(named).collect();
        Ring::new(&targets)
    }

    /// How often each was chosen.
    fn counts(&self, times: usize, mut next: impl FnMut() -> Option<usize>) -> Vec<usize> {
        let mut counts = vec![0; self.0.len()];
        (0..times).for_each(|_| counts[next().unwrap()] += 1);
        counts
    }
}

fn named((at, weight): (usize, u32)) -> (String, u32, u8) {
    (format!("10.0.0.{at}:80"), weight, 0)
}

impl Facts for Group {
    fn count(&self) -> usize {
        self.0.len()
    }
    fn tier(&self, at: usize) -> u8 {
        self.0[at].tier
    }
    fn is_in_rotation(&self, at: usize) -> bool {
        self.0[at].well
    }
    fn weight(&self, at: usize) -> u32 {
        self.0[at].weight
    }
    fn share(&self, at: usize) -> u32 {
        self.0[at].share
    }
    fn seat(&self, at: usize) -> Option<&Seat> {
        self.0.get(at).map(|one| &*one.seat)
    }
}

fn tried(targets: impl IntoIterator<Item = usize>) -> Tried {
    let mut tried = Tried::default();
    targets.into_iter().for_each(|target| tried.add(target));
    tried
}

#[test]
fn turns_are_kept_without_bursts() {
    let (group, none) = (group(&[3, 1]), tried([]));
    let turns = RoundRobin::new(2);
    let order: Vec<_> = (0..8)
        .filter_map(|_| turns.next(&group.field(&none)))
        .collect();
    assert_eq!(order, [0, 0, 1, 0, 0, 0, 1, 0]);
}

#[test]
fn whoever_is_out_of_rotation_gets_no_turn_and_the_others_keep_their_weights() {
    let (mut group, none) = (group(&[3, 1, 2]), tried([]));
    let turns = RoundRobin::new(3);
    let _ = group.counts(5, || turns.next(&group.field(&none)));
    group.0[0].well = false;
    let counts = group.counts(3000, || turns.next(&group.field(&none)));
    assert_eq!(counts[0], 0);
    assert!(counts[1].abs_diff(1000) <= 2, "{counts:?}");
}

#[test]
fn the_least_loaded_by_weight_is_next_and_equals_are_in_turn() {
    let (all, none) = (group(&[1, 1, 1]), tried([]));
    let turns = LeastRequests::default();
    let next = || turns.next(&all.field(&none));
    assert_eq!(
        [next(), next(), next(), next()],
        [Some(0), Some(1), Some(2), Some(0)]
    );
    let _busy = [all.0[0].seat.take(), all.0[2].seat.take()];
    assert_eq!([next(), next()], [Some(1), Some(1)]);

    // All at once, nobody leaves: as many as their weights say.
    let all = group(&[3, 1]);
    let turns = LeastRequests::default();
    let mut busy = Vec::new();
    for _ in 0..400 {
        let at = turns.next(&all.field(&none)).unwrap();
        busy.push(all.0[at].seat.take());
    }
    assert_eq!(all.0[0].seat.under_way(), 300);
}

#[test]
fn of_two_the_one_that_answers_sooner_is_taken() {
    let (all, none, now) = (group(&[1, 1, 1]), tried([]), Instant::now());
    let lots = Lots::new(all.weights());
    for (one, ms) in all.0.iter().zip([1, 2, 100]) {
        one.seat.ewma.took(Duration::from_millis(ms), now);
    }
    let next = || p2c::next(&lots, &all.field(&none), || now);
    let counts = all.counts(3000, next);
    assert_eq!(counts[2], 0, "there is always a better one: {counts:?}");
    assert!(counts[0].abs_diff(2000) < 200, "{counts:?}");
    // Requests under way make the quickest the dearest.
    let _busy: Vec<_> = (0..200).map(|_| all.0[0].seat.take()).collect();
    assert_eq!(all.counts(3000, next)[0], 0);
    let field = all.field(&none);
    let alone = field.without(0);
    let alone = alone.without(1);
    assert!(
        lots.draw(&alone).is_some(),
        "only the last one left out stays out"
    );
}

#[test]
fn lots_fall_by_weight_and_share() {
    for extra in [0, 30] {
        let mut weights = vec![3, 1, 4];
        weights.extend(std::iter::repeat_n(1, extra));
        let (mut group, none) = (group(&weights), tried([]));
        group.0[2].share = WHOLE / 2;
        for one in &mut group.0[3..] {
            one.well = false;
        }
        let lots = Lots::new(group.weights());
        let counts = group.counts(60_000, || lots.draw(&group.field(&none)));
        for (count, expected) in counts.iter().zip([30_000_usize, 10_000, 20_000]) {
            assert!(count.abs_diff(expected) < 1000, "{counts:?}");
        }
        assert_eq!(counts.iter().skip(3).sum::<usize>(), 0);
    }
}

/// Which target each of many keys belongs to.
fn owners(ring: &Ring, group: &Group, tried: &Tried) -> Vec<usize> {
    let next = |key: u32| ring.next(hash(&[&key.to_le_bytes()]), &group.field(tried));
    (0..10_000).map(|key| next(key).unwrap()).collect()
}

#[test]
fn a_target_that_goes_takes_only_its_own_keys_with_it() {
    let (group, none) = (group(&[1; 10]), tried([]));
    let before = owners(&group.ring(), &group, &none);
    for gone in 0..10 {
        // Whether it is gone, out of rotation or tried already, its keys find the same targets.
        let after = owners(&group.ring(), &group, &tried([gone]));
        let left: Vec<_> = (0..10).filter(|at| *at != gone).collect();
        let targets: Vec<_> = left.iter().map(|at| named((*at, 1))).collect();
        let smaller = Ring::new(&targets);
        let few = super::tests::group(&[1; 9]);
        let renamed = owners(&smaller, &few, &none);
        let mut moved = 0;
        for ((before, after), renamed) in before.iter().zip(after).zip(renamed) {
            assert_eq!(after, left[renamed]);
            assert!(*before == after || *before == gone);
            moved += usize::from(*before != after);
        }
        assert!(moved <= 1500, "{moved} of 10,000 keys moved");
    }
}

#[test]
fn the_ring_is_the_same_in_every_process() {
    let (group, none) = (group(&[1, 2, 3]), tried([]));
    let owners = owners(&group.ring(), &group, &none);
    let counts = [0, 1, 2].map(|at| owners.iter().filter(|owner| **owner == at).count());
    // Anything else would mean that gateways of two versions disagree.
    assert_eq!(hash(&[b"swapgate"]), HASH);
    for (count, expected) in counts.iter().zip([1667_usize, 3333, 5000]) {
        assert!(count.abs_diff(expected) < expected / 5, "{counts:?}");
    }
}

const HASH: u64 = 1_593_145_528_335_764_965;

#[test]
fn a_target_that_starts_slowly_has_some_of_its_keys_and_more_and_more() {
    let (mut group, none) = (group(&[1; 4]), tried([]));
    let ring = group.ring();
    let whole = owners(&ring, &group, &none);
    let mut had = BTreeSet::new();
    for share in [100, 300, 600, 999] {
        group.0[1].share = share;
        let now = owners(&ring, &group, &none);
        let keys: BTreeSet<usize> = (0..now.len()).filter(|key| now[*key] == 1).collect();
        assert!(keys.is_superset(&had), "no key moves there and back");
        assert!(keys.iter().all(|key| whole[*key] == 1));
        let expected = whole.iter().filter(|owner| **owner == 1).count() * share as usize / 1000;
        assert!(
            keys.len().abs_diff(expected) < 250,
            "{} of {expected}",
            keys.len()
        );
        had = keys;
    }
}

#[test]
fn a_ring_of_heavy_targets_does_not_outgrow_memory() {
    let (group, none) = (group(&[1000; 100]), tried([]));
    let ring = group.ring();
    assert!(
        owners(&ring, &group, &none)
            .iter()
            .collect::<BTreeSet<_>>()
            .len()
            == 100
    );
    assert!(format!("{ring:?}").matches("Point").count() <= 1 << 18);
}

/// Each choice until there is none, each time leaving out what was chosen before.
fn all_in_turn(group: &Group, panic: u8) -> Vec<usize> {
    let tiers = Tiers::new(group.0.iter().map(|one| one.tier), panic);
    let way = Way::new(Algorithm::RoundRobin, group.weights());
    let mut order = Vec::new();
    let mut tried = Tried::default();
    while let Some(at) = tiers.first(group, |level| {
        way.next(
            &Field::new(group, &tried, level),
            Wish::default(),
            &Ring::default(),
        )
    }) {
        tried.add(at);
        order.push(at);
    }
    order
}

#[test]
fn tiers_serve_one_after_the_other_and_in_panic_all_of_the_lowest() {
    let check = |tiers: [u8; 5], well: [bool; 5], panic: u8, expected: [usize; 5]| {
        let mut group = group(&[1; 5]);
        for ((one, tier), well) in group.0.iter_mut().zip(tiers).zip(well) {
            (one.tier, one.well) = (tier, well);
        }
        assert_eq!(
            all_in_turn(&group, panic),
            expected,
            "{tiers:?} {well:?} {panic}"
        );
    };
    let (all, none) = ([true; 5], [false; 5]);
    check([0, 0, 1, 1, 2], all, 0, [0, 1, 2, 3, 4]);
    check([2, 1, 1, 0, 0], all, 0, [3, 4, 1, 2, 0]);
    check([0, 0, 1, 1, 2], none, 0, [0, 1, 2, 3, 4]);
    // One is enough; what is not in rotation comes last.
    check(
        [0, 0, 1, 1, 2],
        [false, true, true, true, true],
        0,
        [1, 2, 3, 4, 0],
    );
    check(
        [0, 0, 1, 1, 2],
        [false, false, true, false, true],
        0,
        [2, 4, 0, 1, 3],
    );
    // Half are enough, a quarter is not.
    check(
        [0, 0, 0, 0, 1],
        [true, true, false, false, true],
        50,
        [0, 1, 4, 2, 3],
    );
    check(
        [0, 0, 0, 0, 1],
        [true, false, false, false, true],
        50,
        [4, 0, 1, 2, 3],
    );
    // In panic all of the lowest tier, and then what is left.
    check(
        [0, 0, 0, 0, 1],
        [true, false, false, false, false],
        50,
        [0, 1, 2, 3, 4],
    );
    check([0, 0, 0, 1, 1], none, 50, [0, 1, 2, 3, 4]);
}

fn algorithms() -> impl Strategy<Value = Algorithm> {
    prop_oneof![
        Just(Algorithm::RoundRobin),
        Just(Algorithm::LeastRequests),
        Just(Algorithm::P2cEwma),
        Just(Algorithm::ConsistentHash),
        Just(Algorithm::Random),
    ]
}

proptest! {
    #[test]
    fn weights_are_exact_over_a_cycle(weights in vec(1_u32..50, 2..12)) {
        let (group, none) = (group(&weights), tried([]));
        let turns = RoundRobin::new(weights.len());
        let total: u32 = weights.iter().sum();
        for _ in 0..3 {
            let counts = group.counts(total as usize, || turns.next(&group.field(&none)));
            let expected: Vec<usize> = weights.iter().map(|weight| *weight as usize).collect();
            prop_assert_eq!(counts, expected);
        }
    }

    #[test]
    fn credits_stay_small_whatever_comes_and_goes(changes in vec((0_usize..5, any::<bool>()), 1..200)) {
        let mut group = group(&[1, 2, 3, 4, 5]);
        let (turns, none) = (RoundRobin::new(5), tried([]));
        let largest = Cell::new(0_usize);
        for (at, well) in changes {
            group.0[at].well = well;
            let Some(next) = turns.next(&group.field(&none)) else { continue };
            prop_assert!(group.0[next].well);
        }
        // Once all are back, everybody's turn comes within a few rounds.
        group.0.iter_mut().for_each(|one| one.well = true);
        let counts = group.counts(15 * 10, || {
            largest.set(largest.get() + 1);
            turns.next(&group.field(&none))
        });
        prop_assert!(counts.iter().all(|count| *count > 0), "{:?}", counts);
    }

    #[test]
    fn as_long_as_there_is_one_that_was_not_tried_there_is_a_choice(
        algorithm in algorithms(),
        targets in vec((1_u32..20, 0_u8..3, any::<bool>(), 100_u32..1001), 1..20),
        key in any::<Option<u64>>(),
        panic in 0_u8..=100,
    ) {
        let mut group = group(&targets.iter().map(|target| target.0).collect::<Vec<_>>());
        for (one, target) in group.0.iter_mut().zip(&targets) {
            (one.tier, one.well, one.share) = (target.1, target.2, target.3);
        }
        let (way, ring) = (Way::new(algorithm, group.weights()), group.ring());
        let tiers = Tiers::new(group.0.iter().map(|one| one.tier), panic);
        let wish = Wish { hash: key, ..Wish::default() };
        let mut tried = Tried::default();
        for _ in 0..targets.len() {
            let at = tiers.first(&group, |level| {
                way.next(&Field::new(&group, &tried, level), wish, &ring)
            });
            let at = at.expect("one is left");
            prop_assert!(!tried.has(at));
            tried.add(at);
        }
        let at = tiers.first(&group, |level| {
            way.next(&Field::new(&group, &tried, level), wish, &ring)
        });
        prop_assert_eq!(at, None);
    }
}
