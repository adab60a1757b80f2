//! A connection to a target of HTTP/1.1 that no exchange waits for.

use std::time::Duration;

use super::http1::Sender;

/// For how many sweeps an unused connection is kept: 50 to 55 seconds. Shorter than what common servers allow, so that
/// they rarely close one that is about to be used.
pub(super) const SWEEPS: u32 = 11;
/// Between two looks at whether a target takes what is sent to it; sweeps are as far apart.
pub(super) const REST: Duration = Duration::from_secs(5);
/// After so many in a row it stands still, 15 to 20 seconds: the system's buffers are large, and tell of room in them only
/// when a third of it is free, which a target that reads slowly takes a while for.
const LOOKS: u32 = 3;

/// A connection whose exchange has its answer. It is unused once the body of that exchange's request is over as well.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) sender: Sender,
    /// The sweep before which it was used last; counting sweeps needs no clock.
    since: u32,
    /// How long the target has taken nothing of a body.
    standstill: Standstill,
}

impl Kept {
    /// A connection that was used before this sweep.
    pub(super) fn new(sender: Sender, since: u32) -> Self {
        Self {
            sender,
            since,
            standstill: Standstill::default(),
        }
    }

    /// Whether it is kept after this sweep: not one that is closed or grew old, nor one that carries a body of which the
    /// target takes nothing.
    pub(super) fn stays(&mut self, now: u32) -> bool {
        if self.sender.is_closed() {
            return false;
        }
        if self.sender.is_ready() {
            return now.wrapping_sub(self.since) < SWEEPS;
        }
        self.since = now;
        self.standstill.is_short(self.sender.stands_at())
    }
}

/// For how long a target has taken nothing of a body whose answer is over.
#[derive(Debug, Default)]
pub(super) struct Standstill {
    at: Option<u64>,
    looks: u32,
}

impl Standstill {
    /// Whether it may go on, seen where the target stands now; asked every [`REST`].
    pub(super) fn is_short(&mut self, at: Option<u64>) -> bool {
        let stands = at.is_some() && at == self.at;
        self.at = at;
        self.looks = if stands { self.looks + 1 } else { 0 };
        self.looks < LOOKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_takes_nothing_for_long_has_stood_still() {
        let mut standstill = Standstill::default();
        for at in [None, None, None, None, None, Some(1), Some(1), Some(1)] {
            assert!(standstill.is_short(at));
        }
        for at in [Some(2), Some(2), Some(2), None, Some(2), Some(2), Some(2)] {
            assert!(standstill.is_short(at), "it moved meanwhile");
        }
        assert!(!standstill.is_short(Some(2)));
    }
}
