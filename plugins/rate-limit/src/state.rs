//! What an instance hands over to the one that takes its place: the secret of its tags, its clock, and every counter that
//! says something.
//!
//! Counters mean something only under the rule and for the keys they were made for. So they are taken over where limit,
//! window, algorithm, burst and keys are the same; under any other limit counting begins anew, as it does when an
//! operator asks for another limit without a swap. Numbers are little-endian.

use std::fmt::Write as _;

use swapgate_plugin::{Error, ImportError, State, log};

use crate::RateLimit;
use crate::key::Secret;
use crate::settings::{Counters, Settings};

/// The format that is written.
const FORMAT: u32 = 1;

impl State for RateLimit {
    const FORMAT: u32 = FORMAT;

    fn export_state(&self) -> Result<Option<Vec<u8>>, Error> {
        let mut bytes = Vec::new();
        let rule = rule(&self.settings, &self.counters);
        put(&mut bytes, &(rule.len() as u64).to_le_bytes());
        put(&mut bytes, rule.as_bytes());
        put(&mut bytes, &self.secret.to_bytes());
        let at = bytes.len();
        let now = self.now();
        put(&mut bytes, &now.to_le_bytes());
        match &self.counters {
            Counters::TokenBucket(store) => store.export(now, &mut bytes),
            Counters::SlidingWindow(store) => store.export(now, &mut bytes),
        }
        // Workers go on counting meanwhile; no counter may be of a later time than the state says it is.
        let now = self.now().to_le_bytes();
        if let Some(place) = bytes.get_mut(at..at + now.len()) {
            place.copy_from_slice(&now);
        }
        Ok(Some(bytes))
    }

    fn import_state(&mut self, format: u32, state: &[u8]) -> Result<(), ImportError> {
        if format != FORMAT {
            return Err(ImportError::Format);
        }
        let mut reader = Reader(state);
        let head = head(&mut reader).ok_or_else(damaged)?;
        let own = rule(&self.settings, &self.counters);
        if head.rule != own {
            log::info!(
                "policy \"{}\" counts anew: it counted by another rule before ({}, now {own})",
                self.settings.policy,
                head.rule
            );
            return Ok(());
        }
        let keys = match &mut self.counters {
            Counters::TokenBucket(store) => store.import(head.now, &mut reader),
            Counters::SlidingWindow(store) => store.import(head.now, &mut reader),
        }
        .ok_or_else(damaged)?;
        // The clock goes on where the other one stood. What passed in between is lost, which no client can gain from.
        self.continue_from(head.secret, head.now);
        if let Some(metrics) = &self.metrics {
            metrics.remember(keys);
        }
        log::info!("policy \"{}\" took over {keys} keys", self.settings.policy);
        Ok(())
    }
}

/// What stands before the counters.
struct Head<'a> {
    rule: &'a str,
    secret: Secret,
    now: u64,
}

fn head<'a>(reader: &mut Reader<'a>) -> Option<Head<'a>> {
    let len = usize::try_from(reader.u64()?).ok()?;
    Some(Head {
        rule: std::str::from_utf8(reader.take(len)?).ok()?,
        secret: Secret::from_bytes(reader.array()?),
        now: reader.u64()?,
    })
}

/// By what rule and by what keys is counted, in words.
fn rule(settings: &Settings, counters: &Counters) -> String {
    let algorithm = match counters {
        Counters::TokenBucket(_) => "token-bucket",
        Counters::SlidingWindow(_) => "sliding-window",
    };
    let Settings {
        limit,
        window_ms,
        burst,
        by,
        prefixes,
        ..
    } = settings;
    let mut text = format!("{algorithm}, {limit} in {window_ms} ms");
    if let Some(burst) = burst {
        let _ = write!(text, ", burst {burst}");
    }
    let _ = write!(text, ", by {by:?}, {prefixes:?}");
    text
}

fn damaged() -> ImportError {
    ImportError::new("the state is damaged: it does not hold what its format says")
}

pub(crate) fn put(bytes: &mut Vec<u8>, more: &[u8]) {
    bytes.extend_from_slice(more);
}

/// Reads a state from its front; none when there is not enough left.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn u128(&mut self) -> Option<u128> {
        self.array().map(u128::from_le_bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
