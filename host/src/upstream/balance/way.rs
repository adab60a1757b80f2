//! The algorithm of a group.

use std::time::Instant;

use super::facts::{Facts, Field};
use super::least_requests::LeastRequests;
use super::lots::Lots;
use super::p2c;
use super::ring::Ring;
use super::round_robin::RoundRobin;
use super::wish::Wish;
use crate::config::ready::Algorithm;

/// The algorithm of a group, and where it stands on this worker.
#[derive(Debug)]
pub enum Way {
    /// In turn.
    RoundRobin(RoundRobin),
    /// The one with the fewest requests under way.
    LeastRequests(LeastRequests),
    /// Of two drawn at random the one that answers sooner.
    P2cEwma(Lots),
    /// The one that the key of the request belongs to; at random if it has none.
    ConsistentHash(Lots),
    /// At random.
    Random(Lots),
}

impl Way {
    /// Starts with targets of these weights.
    #[must_use]
    pub fn new(algorithm: Algorithm, weights: impl ExactSizeIterator<Item = u32>) -> Self {
        match algorithm {
            Algorithm::RoundRobin => Self::RoundRobin(RoundRobin::new(weights.len())),
            Algorithm::LeastRequests => Self::LeastRequests(LeastRequests::default()),
            Algorithm::P2cEwma => Self::P2cEwma(Lots::new(weights)),
            Algorithm::ConsistentHash => Self::ConsistentHash(Lots::new(weights)),
            Algorithm::Random => Self::Random(Lots::new(weights)),
        }
    }

    /// Chooses one of the field; none if there is nobody in it.
    #[must_use]
    pub fn next(&self, field: &Field<'_, impl Facts>, wish: Wish, ring: &Ring) -> Option<usize> {
        match (self, wish.hash) {
            (Self::RoundRobin(turns), _) => turns.next(field),
            (Self::LeastRequests(turns), _) => turns.next(field),
            (Self::P2cEwma(lots), _) => p2c::next(lots, field, Instant::now),
            (Self::ConsistentHash(_), Some(key)) => ring.next(key, field),
            (Self::ConsistentHash(lots) | Self::Random(lots), _) => lots.draw(field),
        }
    }

    /// Whether it goes by the time that answers take.
    #[must_use]
    pub fn takes_time(&self) -> bool {
        matches!(self, Self::P2cEwma(_))
    }
}
