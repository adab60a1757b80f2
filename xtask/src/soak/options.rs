//! How long, how many, and with which programs.

use std::path::PathBuf;

use crate::arguments::Arguments;
use crate::cargo;
use crate::failure::{Failure, Outcome};

/// The programs of a soak beside the gateway and its plugins.
const PROGRAMS: [&str; 4] = [
    "bench-upstream",
    "bench-load",
    "bench-lasting",
    "bench-floor",
];

/// The command line, understood.
#[derive(Debug)]
pub(super) struct Options {
    /// How long the changes take.
    pub(super) seconds: f64,
    pub(super) reloads: usize,
    pub(super) swaps: usize,
    /// Distinct files among which is swapped.
    pub(super) digests: usize,
    /// Kept-alive connections of HTTP/1.1.
    pub(super) connections: u32,
    /// Bytes of the slow download.
    pub(super) download: u64,
    /// Percent by which memory may differ.
    pub(super) memory: f64,
    /// Where programs and plugins lie that are built already.
    programs: Option<PathBuf>,
}

impl Options {
    pub(super) fn read(mut arguments: Arguments) -> Outcome<Self> {
        let options = Self {
            seconds: arguments.value("--seconds")?.unwrap_or(600.0),
            reloads: arguments.value("--reloads")?.unwrap_or(1000),
            swaps: arguments.value("--swaps")?.unwrap_or(200),
            digests: arguments.value("--digests")?.unwrap_or(8_usize).max(2),
            connections: arguments.value("--connections")?.unwrap_or(32),
            download: arguments.value("--download-mb")?.unwrap_or(1024_u64) << 20,
            memory: arguments.value("--memory")?.unwrap_or(5.0),
            programs: arguments.value("--programs")?,
        };
        arguments.finish()?;
        if !(1.0..=1e6).contains(&options.seconds) || options.download == 0 {
            return Err(Failure::new(
                "--seconds must lie between 1 and 1000000, and --download-mb cannot be 0",
            ));
        }
        Ok(options)
    }

    /// Builds the programs, unless they are there; the folder they lie in.
    pub(super) fn programs(&self) -> Outcome<PathBuf> {
        match &self.programs {
            Some(folder) => Ok(folder.clone()),
            None => cargo::build_release(&PROGRAMS),
        }
    }

    /// The working folder below `target`: two soaks with different programs do not meet.
    pub(super) fn folder(&self) -> &'static str {
        if self.programs.is_some() {
            "soak-given"
        } else {
            "soak"
        }
    }
}
