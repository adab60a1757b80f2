//! Versions that replaced others a short while ago, and what is kept to go back to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::resolve::Resolved;
use crate::config::ready::Faults;
use crate::fault::label::Label;
use crate::plugin::instance::Instance;

/// A version that replaced another one a short while ago.
pub struct Probation {
    /// The new file.
    pub label: &'static Label,
    /// Who it replaced, as `id@version`.
    pub replaced: String,
    /// Its faults when it began; it may have served before.
    before: u64,
    since: Instant,
    /// The instances of before, kept alive with all they know until this is dropped.
    warm: Vec<Arc<Instance>>,
}

/// What becomes of a version on probation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody knows yet.
    Waits,
    /// Its time is over.
    Passed,
    /// It went wrong that often.
    Failed(u64),
}

impl Probation {
    /// What a swap puts on probation: each file that took the place of another one of the same plugin.
    #[must_use]
    pub fn of_swap(before: &[Resolved], after: &[Resolved]) -> Vec<Self> {
        let mut begun: Vec<Self> = Vec::new();
        for pair in before.iter().zip(after) {
            let (Ok(old), Ok(new)) = pair else {
                continue;
            };
            let (label, replaced) = (new.label(), old.label());
            if label.index == replaced.index || label.id != replaced.id {
                continue;
            }
            match begun.iter_mut().find(|one| one.label.index == label.index) {
                Some(one) => one.warm.push(Arc::clone(old)),
                None => begun.push(Self {
                    label,
                    replaced: replaced.to_string(),
                    before: label.health.faults().sum(),
                    since: Instant::now(),
                    warm: vec![Arc::clone(old)],
                }),
            }
        }
        begun
    }

    /// Whether a file is one of those that served before it.
    #[must_use]
    pub fn is_known(&self, label: &Label) -> bool {
        let mut warm = self.warm.iter();
        warm.any(|old| old.label().index == label.index)
    }

    /// Who takes its place, by what uses had and get.
    #[must_use]
    pub fn successors(&self, before: &[Resolved], after: &[Resolved]) -> Vec<&'static Label> {
        let mut found: Vec<&'static Label> = Vec::new();
        for pair in before.iter().zip(after) {
            let (Ok(old), Ok(new)) = pair else {
                continue;
            };
            let label = new.label();
            let is_new = !found.iter().any(|known| known.index == label.index);
            if old.label().index == self.label.index && is_new {
                found.push(label);
            }
        }
        found
    }

    /// Whether what uses got still names it.
    #[must_use]
    pub fn serves(&self, uses: &[Resolved]) -> bool {
        let mut alive = uses.iter().filter_map(|one| one.as_ref().ok());
        alive.any(|instance| instance.label().index == self.label.index)
    }

    /// What becomes of it.
    #[must_use]
    pub fn verdict(&self, faults: &Faults) -> Verdict {
        let count = self.label.health.faults().sum().saturating_sub(self.before);
        decide(count, self.since.elapsed(), faults)
    }

    /// For how long it has been on probation.
    #[must_use]
    pub fn lasted(&self) -> Duration {
        self.since.elapsed()
    }
}

fn decide(count: u64, lasted: Duration, faults: &Faults) -> Verdict {
    if faults.return_after > 0 && count >= faults.return_after {
        Verdict::Failed(count)
    } else if lasted >= faults.probation {
        Verdict::Passed
    } else {
        Verdict::Waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ready::Breaker;

    #[test]
    fn faults_decide_before_time_does() {
        const SECOND: Duration = Duration::from_secs(1);
        let faults = Faults {
            hook_budget: SECOND,
            breaker: Breaker {
                faults: 0,
                window: SECOND,
                open: SECOND,
            },
            probation: SECOND * 60,
            return_after: 5,
            hung: SECOND,
            crashes: 3,
        };
        assert_eq!(decide(4, SECOND, &faults), Verdict::Waits);
        assert_eq!(decide(5, SECOND, &faults), Verdict::Failed(5));
        assert_eq!(decide(4, SECOND * 60, &faults), Verdict::Passed);
        let never = Faults {
            return_after: 0,
            ..faults
        };
        assert_eq!(decide(100, SECOND, &never), Verdict::Waits);
    }
}
