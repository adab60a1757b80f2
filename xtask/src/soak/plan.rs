//! Which change is made when.

use std::time::Duration;

/// Every so many reloads one is wrong.
const WRONG: usize = 10;
/// For every so many swaps a broken file is put there.
const BROKEN: usize = 20;

/// One change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// A configuration that is valid, by its number.
    Reload(usize),
    /// One that is not, in one of several ways.
    Wrong(usize),
    /// Another version of the plugin.
    Swap(usize),
    /// A file that is none, in one of several ways.
    Broken(usize),
}

impl Change {
    /// The window its time belongs to.
    pub(super) fn window(self) -> &'static str {
        match self {
            Self::Reload(_) => "reload",
            Self::Wrong(_) => "refused reload",
            Self::Swap(_) => "swap",
            Self::Broken(_) => "refused file",
        }
    }
}

/// The windows, in the order in which they are told.
pub(super) const WINDOWS: [&str; 5] = ["quiet", "reload", "refused reload", "swap", "refused file"];

/// Changes spread evenly over a time, each kind evenly among the others.
pub(super) fn spread(time: Duration, reloads: usize, swaps: usize) -> Vec<(Duration, Change)> {
    let reload = |number: usize| match number % WRONG {
        9 => Change::Wrong(number / WRONG),
        _ => Change::Reload(number),
    };
    let broken = swaps.div_ceil(BROKEN);
    let mut all: Vec<(f64, Change)> = evenly(reloads)
        .map(|(at, number)| (at, reload(number)))
        .chain(evenly(swaps).map(|(at, number)| (at, Change::Swap(number))))
        .chain(evenly(broken).map(|(at, number)| (at, Change::Broken(number))))
        .collect();
    all.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    // A swap mends what a broken file left behind; so none may come last.
    if let Some(last) = all
        .iter()
        .rposition(|(_, change)| matches!(change, Change::Swap(_)))
    {
        all.retain({
            let end = all[last].0;
            move |(at, change)| *at < end || !matches!(change, Change::Broken(_))
        });
    }
    let count = all.len() as f64;
    let at = |index: usize| time.mul_f64(index as f64 / count);
    let changes = all.into_iter().map(|(_, change)| change);
    changes
        .enumerate()
        .map(|(index, change)| (at(index), change))
        .collect()
}

/// As many places between 0 and 1 as are asked for, with their numbers.
fn evenly(count: usize) -> impl Iterator<Item = (f64, usize)> {
    (0..count).map(move |number| ((number as f64 + 0.5) / count as f64, number))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Change, WINDOWS, spread};

    #[test]
    fn everything_has_its_place() {
        let plan = spread(Duration::from_secs(600), 1000, 200);
        let count = |window: &str| {
            let of_it = plan.iter().filter(|(_, change)| change.window() == window);
            of_it.count()
        };
        assert_eq!(WINDOWS.map(count), [0, 900, 100, 200, 10]);
        assert!(plan.is_sorted_by_key(|(at, _)| *at));
        assert!(plan.iter().all(|(at, _)| *at < Duration::from_secs(600)));
        let half = plan.iter().filter(|(at, _)| *at < Duration::from_secs(300));
        let swaps = half.filter(|(_, change)| matches!(change, Change::Swap(_)));
        assert_eq!(swaps.count(), 100);
    }

    #[test]
    fn a_swap_mends_what_was_broken() {
        for (reloads, swaps) in [(0, 1), (60, 15), (10, 40), (5, 0), (0, 21)] {
            let plan = spread(Duration::from_secs(1), reloads, swaps);
            let last =
                |kind: fn(&Change) -> bool| plan.iter().rposition(|(_, change)| kind(change));
            let broken = last(|change| matches!(change, Change::Broken(_)));
            let swap = last(|change| matches!(change, Change::Swap(_)));
            assert!(broken <= swap, "{plan:?}");
        }
    }
}
