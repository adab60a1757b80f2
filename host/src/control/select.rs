//! Which file a use admits: a pure decision.
//!
//! The folder decides, not history: the highest version that the use admits, downgrades included; of two files with
//! the same version the one that settled last.

use semver::{Version, VersionReq};

/// Picks the best of some candidates, each with its version and the order in which it settled.
pub fn best<C>(
    candidates: impl Iterator<Item = (C, Version, u64)>,
    admits: &VersionReq,
) -> Option<C> {
    candidates
        .filter(|(_, version, _)| admitted(version, admits))
        .max_by(|(_, a, first), (_, b, second)| a.cmp_precedence(b).then(first.cmp(second)))
        .map(|(candidate, ..)| candidate)
}

/// Whether a use admits a version. A use that says nothing admits pre-releases too: whoever puts one into the folder
/// wants it.
#[must_use]
pub fn admitted(version: &Version, admits: &VersionReq) -> bool {
    *admits == VersionReq::STAR || admits.matches(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(files: &[(&str, u64)], admits: &str, expected: Option<usize>) {
        let files = files
            .iter()
            .enumerate()
            .map(|(index, (version, order))| (index, version.parse::<Version>().unwrap(), *order));
        assert_eq!(best(files, &admits.parse().unwrap()), expected);
    }

    #[test]
    fn the_folder_decides() {
        check(&[], "*", None);
        check(&[("1.0.0", 9), ("2.0.0", 1)], "*", Some(1));
        check(&[("1.0.0", 9), ("2.0.0", 1)], "^1", Some(0));
        check(&[("1.9.0", 1), ("1.10.0", 2)], "^1", Some(1));
        check(&[("1.0.0", 1), ("1.0.0", 2)], "*", Some(1));
        check(&[("1.0.0", 3), ("1.0.0", 2)], "*", Some(0));
        check(&[("1.0.0+a", 1), ("1.0.0+b", 2)], "*", Some(1));
        check(&[("1.0.0", 1)], "^2", None);
        check(&[("2.0.0-rc.1", 1)], "*", Some(0));
        check(&[("2.0.0-rc.1", 1)], "^2", None);
    }
}
