//! Which metrics the gateway takes: the rules of `metric_declare`, kept by the gateway and by [`testing`](crate::testing).
//!
//! Plain checks, without a registry: what is here cannot count.

use swapgate_abi::code;

use crate::status::HostError;

/// Longest name of a metric, in bytes.
pub const NAME_BYTES: usize = 100;
/// Longest help text, in bytes.
pub const HELP_BYTES: usize = 512;
/// Most labels of one series.
pub const LABELS: usize = 8;
/// Longest value of a label, in bytes.
pub const LABEL_BYTES: usize = 256;
/// Most bounds of a histogram.
pub const BOUNDS: usize = 32;
/// Most different series one image may declare while it is mapped.
pub const SERIES: usize = 256;

/// Endings that the gateway adds itself, or that mean something to whoever scrapes it.
const ENDINGS: [&str; 4] = ["total", "bucket", "count", "sum"];

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by bounds.
    Histogram,
}

impl Kind {
    /// The kind with this number in the contract.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            code::SG_METRIC_COUNTER => Self::Counter,
            code::SG_METRIC_GAUGE => Self::Gauge,
            code::SG_METRIC_HISTOGRAM => Self::Histogram,
            _ => return None,
        })
    }

    /// Its number in the contract.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Counter => code::SG_METRIC_COUNTER,
            Self::Gauge => code::SG_METRIC_GAUGE,
            Self::Histogram => code::SG_METRIC_HISTOGRAM,
        }
    }

    /// Whether `value` may be added to a metric of this kind.
    ///
    /// # Errors
    ///
    /// [`HostError::Invalid`]: it may not.
    pub fn check_add(self, value: f64) -> Result<(), HostError> {
        let fits = match self {
            Self::Counter => value.is_finite() && value >= 0.0,
            Self::Gauge => value.is_finite(),
            Self::Histogram => false,
        };
        if fits {
            Ok(())
        } else {
            Err(HostError::Invalid)
        }
    }
}

/// What a plugin said about one series, as it came.
#[derive(Debug, Clone, Copy)]
pub struct Declared<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its name without the gateway's part.
    pub name: &'a [u8],
    /// What it means.
    pub help: &'a [u8],
    /// Names and values.
    pub labels: &'a [(&'a [u8], &'a [u8])],
    /// Upper bounds of a histogram.
    pub bounds: &'a [f64],
}

/// What a plugin said about one series, checked. Labels are in the order of their names.
#[derive(Debug, Clone, PartialEq)]
pub struct Declaration {
    /// What it is.
    pub kind: Kind,
    /// Its name without the gateway's part.
    pub name: String,
    /// What it means.
    pub help: String,
    /// Names and values.
    pub labels: Vec<(String, String)>,
    /// Upper bounds of a histogram.
    pub bounds: Vec<f64>,
}

impl Declared<'_> {
    /// Checks it against the rules of the contract.
    ///
    /// # Errors
    ///
    /// [`HostError::TooLarge`] and [`HostError::Invalid`], as `metric_declare` in the header.
    pub fn check(self) -> Result<Declaration, HostError> {
        let name = self.name()?;
        let help = text(self.help, HELP_BYTES)?;
        Ok(Declaration {
            kind: self.kind,
            name,
            help,
            labels: self.labels()?,
            bounds: self.bounds()?,
        })
    }

    fn name(&self) -> Result<String, HostError> {
        let name = identifier(self.name)?;
        let last = name.rsplit('_').next().unwrap_or_default();
        if ENDINGS.contains(&last) {
            return Err(HostError::Invalid);
        }
        Ok(name)
    }

    fn labels(&self) -> Result<Vec<(String, String)>, HostError> {
        if self.labels.len() > LABELS {
            return Err(HostError::TooLarge);
        }
        let mut labels = Vec::with_capacity(self.labels.len());
        for (name, value) in self.labels {
            labels.push((identifier(name)?, text(value, LABEL_BYTES)?));
        }
        labels.sort();
        let names = labels.iter().map(|(name, _)| name);
        let twice = names
            .clone()
            .zip(names.skip(1))
            .any(|(one, next)| one == next);
        // The gateway's own label of histograms.
        if twice || labels.iter().any(|(name, _)| name == "le") {
            return Err(HostError::Invalid);
        }
        Ok(labels)
    }

    fn bounds(&self) -> Result<Vec<f64>, HostError> {
        let bounds = self.bounds;
        if bounds.len() > BOUNDS {
            return Err(HostError::TooLarge);
        }
        let ascending = bounds.is_sorted_by(|one, next| one < next);
        let finite = bounds.iter().all(|bound| bound.is_finite());
        let wanted = self.kind == Kind::Histogram;
        if !ascending || !finite || wanted == bounds.is_empty() {
            return Err(HostError::Invalid);
        }
        Ok(bounds.to_vec())
    }
}

impl Declaration {
    /// Whether the two may stand under one name: the same kind, bounds and label names.
    #[must_use]
    pub fn fits(&self, other: &Self) -> bool {
        let names = |labels: &[(String, String)]| -> Vec<String> {
            labels.iter().map(|(name, _)| name.clone()).collect()
        };
        self.kind == other.kind
            && self.bounds == other.bounds
            && names(&self.labels) == names(&other.labels)
    }
}

/// `[a-z][a-z0-9_]*`, as names of metrics and labels are.
fn identifier(bytes: &[u8]) -> Result<String, HostError> {
    if bytes.len() > NAME_BYTES {
        return Err(HostError::TooLarge);
    }
    let first = bytes.first().is_some_and(u8::is_ascii_lowercase);
    let rest = bytes
        .iter()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_');
    if !first || !rest {
        return Err(HostError::Invalid);
    }
    text(bytes, NAME_BYTES)
}

/// UTF-8 that is not empty.
fn text(bytes: &[u8], limit: usize) -> Result<String, HostError> {
    if bytes.len() > limit {
        return Err(HostError::TooLarge);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(HostError::Invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Labels<'a> = &'a [(&'a [u8], &'a [u8])];

    fn check(kind: Kind, name: &str, labels: Labels<'_>, bounds: &[f64]) -> Result<(), HostError> {
        let declared = Declared {
            kind,
            name: name.as_bytes(),
            help: b"What it means.",
            labels,
            bounds,
        };
        declared.check().map(drop)
    }

    #[test]
    fn names_are_such_that_no_two_metrics_are_shown_as_one() {
        let long = "n".repeat(NAME_BYTES + 1);
        let table = [
            ("hits", Ok(())),
            ("wait_seconds", Ok(())),
            ("totals", Ok(())),
            ("", Err(HostError::Invalid)),
            ("Hits", Err(HostError::Invalid)),
            ("2xx", Err(HostError::Invalid)),
            ("_hits", Err(HostError::Invalid)),
            ("a:b", Err(HostError::Invalid)),
            ("hits_total", Err(HostError::Invalid)),
            ("total", Err(HostError::Invalid)),
            ("wait_count", Err(HostError::Invalid)),
            ("wait_sum", Err(HostError::Invalid)),
            ("wait_bucket", Err(HostError::Invalid)),
            (long.as_str(), Err(HostError::TooLarge)),
        ];
        for (name, expected) in table {
            assert_eq!(check(Kind::Counter, name, &[], &[]), expected, "{name}");
        }
    }

    #[test]
    fn labels_are_few_and_differ() {
        let many: Vec<(&[u8], &[u8])> = [(b"a".as_slice(), b"b".as_slice()); LABELS + 1].to_vec();
        let long = [b'v'; LABEL_BYTES + 1];
        let table: [(Labels<'_>, Result<(), HostError>); 7] = [
            (&[(b"b", b"1"), (b"a", b"1")], Ok(())),
            (&[(b"a", b"1"), (b"a", b"2")], Err(HostError::Invalid)),
            (&[(b"le", b"1")], Err(HostError::Invalid)),
            (&[(b"A", b"1")], Err(HostError::Invalid)),
            (&[(b"a", b"")], Err(HostError::Invalid)),
            (&[(b"a", &long)], Err(HostError::TooLarge)),
            (&many, Err(HostError::TooLarge)),
        ];
        for (labels, expected) in table {
            assert_eq!(check(Kind::Gauge, "g", labels, &[]), expected, "{labels:?}");
        }
    }

    #[test]
    fn only_a_histogram_has_bounds_and_they_ascend() {
        let many: Vec<f64> = (0..=BOUNDS).map(|bound| bound as f64).collect();
        assert_eq!(check(Kind::Histogram, "h", &[], &[-1.0, 0.5]), Ok(()));
        for bounds in [&[] as &[f64], &[1.0, 1.0], &[f64::NAN], &[f64::INFINITY]] {
            let refused = check(Kind::Histogram, "h", &[], bounds);
            assert_eq!(refused, Err(HostError::Invalid), "{bounds:?}");
        }
        let refused = check(Kind::Histogram, "h", &[], &many);
        assert_eq!(refused, Err(HostError::TooLarge));
        let refused = check(Kind::Counter, "c", &[], &[1.0]);
        assert_eq!(refused, Err(HostError::Invalid));
    }
}
