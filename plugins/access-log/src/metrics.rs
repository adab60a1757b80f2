//! What becomes of lines: for reports in the gateway's log, and for `/metrics`, by output.

use std::sync::atomic::{AtomicU64, Ordering};

use swapgate_plugin::{Counter, DeclareError, log};

use crate::sink::Output;

/// The counts of an instance.
#[derive(Debug)]
pub struct Metrics {
    shown: Option<Shown>,
    errors: AtomicU64,
    dropped: AtomicU64,
}

/// The series of one output; instances with the same output share them.
#[derive(Debug, Clone, Copy)]
struct Shown {
    written: Counter,
    dropped: Counter,
    lost: Counter,
    errors: Counter,
}

impl Metrics {
    /// Where the gateway takes no more series, or not one for a path that long, nothing is shown: a log without numbers
    /// is better than no log.
    #[must_use]
    pub fn declare(output: &Output) -> Self {
        let shown = Shown::declare(&output.to_string());
        if let Err(error) = &shown {
            log::warn!("the access log to {output} is written without metrics: {error}");
        }
        Self {
            shown: shown.ok(),
            errors: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// These lines were written.
    pub fn written(&self, lines: usize) {
        self.show(|shown| shown.written, lines);
    }

    /// A line found no room in the queue.
    pub fn dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        self.show(|shown| shown.dropped, 1);
    }

    /// These lines were in the queue and could not be written.
    pub fn lost(&self, lines: usize) {
        self.show(|shown| shown.lost, lines);
    }

    /// The output could not be opened or written to.
    pub fn error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        self.show(|shown| shown.errors, 1);
    }

    /// How many lines were dropped, and how many tries to write failed.
    #[must_use]
    pub fn so_far(&self) -> (u64, u64) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (of(&self.dropped), of(&self.errors))
    }

    fn show(&self, which: impl Fn(&Shown) -> Counter, lines: usize) {
        if let Some(shown) = &self.shown {
            which(shown).add(lines as f64);
        }
    }
}

impl Shown {
    fn declare(output: &str) -> Result<Self, DeclareError> {
        let lines = |outcome| {
            let help = "Lines of the access log, by what became of them.";
            Counter::declare("lines", help, &[("output", output), ("outcome", outcome)])
        };
        Ok(Self {
            written: lines("written")?,
            dropped: lines("dropped")?,
            lost: lines("lost")?,
            errors: Counter::declare(
                "write_errors",
                "Tries to open or write the access log that failed.",
                &[("output", output)],
            )?,
        })
    }
}
