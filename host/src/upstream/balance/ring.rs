//! Consistent hashing: a ring of points, many for each target; a key belongs to the first point clockwise.
//!
//! As in ketama, a target that goes takes only its own points with it, and one that comes takes keys from everybody alike.
//! Points and keys are hashed with keys that never change, and points go by nothing but the target's address, so that every
//! worker, every process and every gateway of a fleet agrees. Control builds the ring once for all workers.

use std::collections::BTreeMap;
use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use super::facts::{Facts, Field};
use super::slow_start::WHOLE;
use crate::config::ready::{Algorithm, Balance};
use crate::upstream::target::Target;

/// Points of a target for each unit of its weight, as in ketama: shares are off by about 8 percent of themselves then.
const POINTS: u32 = 160;
/// With more points than this there are fewer for each unit of weight, for all alike.
const MOST: u64 = 1 << 18;

/// The rings of a group, one for each tier, so that nobody passes the points of targets that are not in use; empty where
/// nobody asks for them.
#[derive(Debug, Clone, Default)]
pub struct Ring(Box<[Tier]>);

#[derive(Debug, Clone)]
struct Tier {
    tier: u8,
    points: Box<[Point]>,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    at: u64,
    target: u32,
    /// Where it stands among the points of its target, in thousandths: one that starts slowly has only its first ones.
    rank: u16,
}

impl Ring {
    /// The ring that the targets of an upstream need: none, unless its algorithm is a consistent hash.
    #[must_use]
    pub fn of(balance: &Balance, targets: &[Target]) -> Self {
        if balance.algorithm != Algorithm::ConsistentHash {
            return Self::default();
        }
        let targets: Vec<_> = targets
            .iter()
            .map(|target| {
                let name = target.address.to_string();
                (name, target.weight, target.priority)
            })
            .collect();
        Self::new(&targets)
    }

    /// The rings of targets, each with what it is called, its weight and its tier.
    #[must_use]
    pub fn new(targets: &[(String, u32, u8)]) -> Self {
        let weights = targets.iter().map(|(_, weight, _)| u64::from(*weight));
        let weights: u64 = weights.sum();
        let mut points = POINTS;
        // Halving leaves half of the points where they are, so that few keys move when a group outgrows its ring.
        while points > 1 && weights * u64::from(points) > MOST {
            points /= 2;
        }
        let mut rings: BTreeMap<u8, Vec<Point>> = BTreeMap::new();
        for (index, (name, weight, tier)) in (0..).zip(targets) {
            let count = weight.saturating_mul(points).max(1);
            rings
                .entry(*tier)
                .or_default()
                .extend((0..count).map(|number| Point {
                    at: hash(&[name.as_bytes(), &number.to_le_bytes()]),
                    target: index,
                    rank: rank(number, count),
                }));
        }
        let sorted = |(tier, mut points): (u8, Vec<Point>)| {
            points.sort_unstable_by_key(|point| point.at);
            let points = points.into();
            Tier { tier, points }
        };
        Self(rings.into_iter().map(sorted).collect())
    }

    /// The target of the field that a hashed key belongs to.
    #[must_use]
    pub fn next(&self, key: u64, field: &Field<'_, impl Facts>) -> Option<usize> {
        let takes = |point: &&Point| field.share(point.target as usize) > u32::from(point.rank);
        let tier = self.0.iter().find(|ring| ring.tier == field.tier())?;
        let start = tier.points.partition_point(|point| point.at < key);
        let (before, after) = tier.points.split_at_checked(start)?;
        let mut clockwise = after.iter().chain(before);
        let first = clockwise.next()?;
        let found = if takes(&first) {
            first
        } else if field.has_any() {
            clockwise.find(takes)?
        } else {
            // Nobody goes round the whole ring in vain.
            return None;
        };
        Some(found.target as usize)
    }
}

/// What a key, or a point, is on the ring.
#[must_use]
pub fn hash(parts: &[&[u8]]) -> u64 {
    // Any keys do, as long as they stay: they are the first digits of pi.
    let mut hasher = SipHasher13::new_with_keys(0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344);
    parts.iter().for_each(|part| hasher.write(part));
    hasher.finish()
}

fn rank(number: u32, count: u32) -> u16 {
    let rank = u64::from(number) * u64::from(WHOLE) / u64::from(count);
    u16::try_from(rank).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heavy_tier_is_not_in_the_way_of_a_light_one() {
        let named = |name: &str, weight, tier| (name.to_owned(), weight, tier);
        let ring = Ring::new(&[
            named("10.0.0.1:80", 1, 3),
            named("10.0.0.2:80", 1000, 7),
            named("10.0.0.3:80", 1, 3),
        ]);
        let of = |tier: &Tier| {
            let mut targets: Vec<_> = tier.points.iter().map(|point| point.target).collect();
            targets.sort_unstable();
            targets.dedup();
            (tier.tier, tier.points.len(), targets)
        };
        let tiers: Vec<_> = ring.0.iter().map(of).collect();
        let points = POINTS as usize;
        assert_eq!(
            tiers,
            [(3, 2 * points, vec![0, 2]), (7, 1000 * points, vec![1])]
        );
    }
}
