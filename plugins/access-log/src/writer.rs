//! The thread that writes: it takes what waits, puts it into the sink in one piece, and says what goes wrong.
//!
//! What cannot be written is kept and tried again at every turn, from the very byte at which it stopped; meanwhile the
//! queue fills, and what has no room in it is dropped and counted. Traffic notices nothing of either.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use swapgate_plugin::{Error, log};

use crate::metrics::Metrics;
use crate::queue::{Batch, Limits, Queue};
use crate::sink::{Output, Sink};

/// Between two lines in the log of the gateway about the same kind of trouble.
const BETWEEN_REPORTS: Duration = Duration::from_secs(10);
/// How long the end of an instance waits for the last lines; below the time the gateway gives it by default.
const LAST_LINES: Duration = Duration::from_secs(5);

/// The queue and its thread. Dropped, it writes what waits and ends the thread.
#[derive(Debug)]
pub struct Writer {
    queue: Arc<Queue>,
    metrics: Arc<Metrics>,
    thread: Option<JoinHandle<()>>,
    /// Disconnected when the thread is done.
    done: Mutex<Receiver<()>>,
}

impl Writer {
    /// Opens the output and starts the thread.
    ///
    /// # Errors
    ///
    /// The output cannot be opened, or the system has no thread left.
    pub fn start(output: &Output, limits: Limits, metrics: Arc<Metrics>) -> Result<Self, Error> {
        let sink = Sink::open(output)
            .map_err(|error| Error::new(format!("{output} cannot be opened: {error}")))?;
        let queue = Arc::new(Queue::new(limits));
        let (alive, done) = mpsc::channel();
        let work = Work {
            queue: Arc::clone(&queue),
            metrics: Arc::clone(&metrics),
            limits,
            sink,
            output: output.to_string(),
            reports: Reports::default(),
        };
        let thread = thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || {
                work.run();
                drop(alive);
            })?;
        Ok(Self {
            queue,
            metrics,
            thread: Some(thread),
            done: Mutex::new(done),
        })
    }

    /// Adds a line to those that wait. Never waits itself.
    pub fn push(&self, line: &[u8]) {
        if !self.queue.push(line) {
            self.metrics.dropped();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(RecvTimeoutError::Timeout) = done.recv_timeout(LAST_LINES) {
            // A reader of standard output that reads no more. The image stays mapped, so the thread may stay as well.
            log::error!(
                "the last lines of the access log could not be written in time: they are lost"
            );
            return;
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the thread of the access log panicked: its last lines are lost");
        }
    }
}

/// What the thread has.
struct Work {
    queue: Arc<Queue>,
    metrics: Arc<Metrics>,
    limits: Limits,
    sink: Sink,
    output: String,
    reports: Reports,
}

impl Work {
    fn run(mut self) {
        let mut batch = Batch::with_room(self.limits);
        // How much of the batch is written.
        let mut at = 0;
        loop {
            let closed = if batch.bytes.is_empty() {
                self.queue.take(&mut batch)
            } else {
                self.queue.pause()
            };
            let followed = self.follow(&mut batch, &mut at);
            let outcome = self.write(&batch, &mut at);
            if outcome.is_ok() {
                self.written(&mut batch);
                at = 0;
            }
            let is_written = outcome.is_ok();
            self.report(followed.err().or(outcome.err()));
            if closed && !is_written {
                return self.give_up(&batch, at);
            }
            if closed {
                // What came while the last batch was tried again; mostly nothing.
                self.queue.take(&mut batch);
                if batch.bytes.is_empty() {
                    return;
                }
            }
        }
    }

    /// Looks whether the path names another file, before every batch and whenever `flush` is over.
    fn follow(&mut self, batch: &mut Batch, at: &mut usize) -> io::Result<()> {
        if !self.sink.follow()? {
            return Ok(());
        }
        // A line that broke off in the old file is not begun in the middle in the new one.
        let (before, rest) = batch.bytes.split_at_checked(*at).unwrap_or_default();
        let torn = before.last().is_some_and(|byte| *byte != b'\n');
        if let Some(end) = rest.iter().position(|byte| *byte == b'\n').filter(|_| torn) {
            *at += end + 1;
            batch.lines = batch.lines.saturating_sub(1);
            self.metrics.lost(1);
        }
        Ok(())
    }

    fn write(&mut self, batch: &Batch, at: &mut usize) -> io::Result<()> {
        while let Some(rest) = batch.bytes.get(*at..).filter(|rest| !rest.is_empty()) {
            *at += self.sink.write(rest)?;
        }
        Ok(())
    }

    fn written(&mut self, batch: &mut Batch) {
        self.metrics.written(batch.lines);
        batch.lines = 0;
        batch.bytes.clear();
    }

    /// What cannot be written at the end is lost.
    fn give_up(&mut self, batch: &Batch, at: usize) {
        let rest = batch.bytes.get(at..).unwrap_or_default();
        let mut waiting = Batch::default();
        self.queue.take(&mut waiting);
        let lost = rest.iter().filter(|byte| **byte == b'\n').count() + waiting.lines;
        self.metrics.lost(lost);
        self.metrics
            .written((batch.lines + waiting.lines).saturating_sub(lost));
        let output = &self.output;
        log::error!(
            "{lost} lines of the access log could not be written to {output} before the end: they are lost"
        );
    }

    /// Says what went wrong, if it did not say so just before.
    fn report(&mut self, error: Option<io::Error>) {
        let output = &self.output;
        if let Some(error) = error {
            self.metrics.error();
            self.reports.failing = true;
            if self.reports.errors.is_due() {
                let (_, errors) = self.metrics.so_far();
                log::warn!(
                    "the access log cannot be written to {output}: {error}; tried {errors} times so far, requests are served all the same"
                );
            }
        } else if std::mem::take(&mut self.reports.failing) {
            log::info!("the access log is written to {output} again");
        }
        let (dropped, _) = self.metrics.so_far();
        if dropped > self.reports.dropped && self.reports.drops.is_due() {
            let since = dropped - self.reports.dropped;
            self.reports.dropped = dropped;
            log::warn!(
                "{since} lines for {output} were dropped, {dropped} in all: they came faster than they can be written; a larger queue bridges a short crowd"
            );
        }
    }
}

/// What was said, and when.
#[derive(Default)]
struct Reports {
    failing: bool,
    dropped: u64,
    errors: Pace,
    drops: Pace,
}

/// Lets one report pass in a while.
#[derive(Default)]
struct Pace(Option<Instant>);

impl Pace {
    fn is_due(&mut self) -> bool {
        let due = self.0.is_none_or(|last| last.elapsed() >= BETWEEN_REPORTS);
        if due {
            self.0 = Some(Instant::now());
        }
        due
    }
}
