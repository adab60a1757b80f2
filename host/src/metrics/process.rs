//! What the system says about this process, under the names every Prometheus client uses.

use std::fs;

use rustix::process::{Resource, getrlimit};

use super::names;
use super::page::{Family, Page};

/// Shows what is known; what the system does not tell is left out.
pub fn show(page: &mut Page) {
    let mut number = |name, value: Option<f64>| {
        let mut family = Family::of(name);
        if let Some(value) = value {
            family.number(&[], value);
        }
        page.add(family);
    };
    let stat = fs::read_to_string("/proc/self/stat").ok();
    let stat = stat.as_deref().map(Stat::of).unwrap_or_default();
    number(&names::PROCESS_CPU, stat.cpu_seconds());
    number(&names::PROCESS_RESIDENT, stat.resident());
    number(&names::PROCESS_VIRTUAL, stat.field(23));
    number(&names::PROCESS_FDS, open_files());
    #[allow(
        clippy::cast_precision_loss,
        reason = "the format has no other numbers"
    )]
    let limit = getrlimit(Resource::Nofile)
        .current
        .map(|limit| limit as f64);
    number(&names::PROCESS_MAX_FDS, limit);
    number(&names::PROCESS_START, stat.started());
    number(&names::PROCESS_THREADS, stat.field(20));
}

/// How much memory of the process is resident; see `statm` in `proc_pid_statm(5)`.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(rustix::param::page_size() as u64))
}

/// The fields of `/proc/self/stat` behind the name of the program; see proc_pid_stat(5), which counts from 1.
#[derive(Debug, Default)]
struct Stat<'a>(Vec<&'a str>);

impl<'a> Stat<'a> {
    fn of(text: &'a str) -> Self {
        // The name stands in parentheses and may hold anything.
        let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
        Self(rest.split_ascii_whitespace().collect())
    }

    /// A field by its number in the manual; those up to 2 are not kept.
    fn field(&self, number: usize) -> Option<f64> {
        self.0.get(number.checked_sub(3)?)?.parse().ok()
    }

    fn cpu_seconds(&self) -> Option<f64> {
        Some((self.field(14)? + self.field(15)?) / ticks())
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "the format has no other numbers"
    )]
    fn resident(&self) -> Option<f64> {
        Some(self.field(24)? * rustix::param::page_size() as f64)
    }

    fn started(&self) -> Option<f64> {
        let system = fs::read_to_string("/proc/stat").ok()?;
        let booted = system
            .lines()
            .find_map(|line| line.strip_prefix("btime "))?;
        Some(booted.trim().parse::<f64>().ok()? + self.field(22)? / ticks())
    }
}

#[allow(clippy::cast_precision_loss, reason = "a hundred or so")]
fn ticks() -> f64 {
    (rustix::param::clock_ticks_per_second() as f64).max(1.0)
}

/// The one that reads the folder is not counted.
#[allow(clippy::cast_precision_loss, reason = "far from 2^53")]
fn open_files() -> Option<f64> {
    let files = fs::read_dir("/proc/self/fd").ok()?;
    Some(files.count().saturating_sub(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_moves_nothing() {
        let stat =
            Stat::of("1 (a) b) S 4 5 6 7 8 9 10 11 12 13 200 100 16 17 18 19 7 21 22 4096 3");
        assert_eq!(stat.field(4), Some(4.0));
        assert_eq!(stat.field(20), Some(7.0));
        assert_eq!(stat.field(23), Some(4096.0));
        assert_eq!(stat.cpu_seconds(), Some(300.0 / ticks()));
        assert_eq!(stat.field(2), None);
        assert_eq!(stat.field(99), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_tells_everything() {
        let mut page = Page::default();
        show(&mut page);
        let text = page.text().unwrap();
        assert_eq!(text.matches("# TYPE process_").count(), 7, "{text}");
    }
}
