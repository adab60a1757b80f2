//! The log: a thread of its own writes its lines, so that a slow or full output costs lines, never a worker. Lines that are
//! lost are counted, and the log says so once it can be written again.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

use crate::metrics::names;
use crate::metrics::page::{Family, Page};

/// Lines of the log that wait to be written; what comes beyond them is lost. The places are made, and touched, at the start:
/// with the 128,000 of the library they were 4 MB of every gateway, before it had logged a line.
const LINES: usize = 8192;

/// Lines that the output did not take.
static UNWRITTEN: AtomicU64 = AtomicU64::new(0);
/// Counts those that came faster than they can be written.
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Starts the thread that writes to `output`; what is left is written when the guard is dropped.
pub fn start(output: impl Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    let (lines, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LINES)
        .finish(Lines::new(output));
    // Set once, as the log of a process is.
    let _ = DROPPED.set(lines.error_counter());
    (lines, guard)
}

/// Shows how many lines were lost.
pub fn show(page: &mut Page) {
    let mut lost = Family::of(&names::LOG_LOST);
    lost.count(&["output"], UNWRITTEN.load(Ordering::Relaxed));
    let dropped = DROPPED.get().map_or(0, ErrorCounter::dropped_lines);
    lost.count(&["queue"], u64::try_from(dropped).unwrap_or(u64::MAX));
    page.add(lost);
}

/// Writes lines, each with one call, and goes on after whatever the system says.
struct Lines<W> {
    output: W,
    /// The last line broke off in the middle.
    torn: bool,
    /// Lines that were lost since one was written, and why the last one was.
    lost: u64,
    why: Option<io::Error>,
}

impl<W: Write> Lines<W> {
    fn new(output: W) -> Self {
        Self {
            output,
            torn: false,
            lost: 0,
            why: None,
        }
    }

    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.output.write_all(b"\n")?;
            self.torn = false;
        }
        let mut rest = line;
        while !rest.is_empty() {
            match self.output.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = rest.get(written..).unwrap_or_default();
                    self.torn = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Says what was lost before, now that lines are written again.
    fn tell(&mut self) {
        let lost = std::mem::take(&mut self.lost);
        if let Some(error) = self.why.take() {
            // It comes back here as a line like all others.
            tracing::warn!(target: "log", lost, "{lost} lines of this log could not be written and are lost: {error}");
        }
    }
}

impl<W: Write> Write for Lines<W> {
    /// Takes every line: the thread behind it would only drop what is not taken, uncounted.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.line(line) {
            Ok(()) => self.tell(),
            Err(error) => {
                self.lost = self.lost.saturating_add(1);
                self.why = Some(error);
                UNWRITTEN.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // What could not be written is counted already.
        let _ = self.output.flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file system with room for so many bytes.
    struct Disk {
        written: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room - self.written.len());
            if count == 0 {
                return Err(io::Error::from_raw_os_error(libc::ENOSPC));
            }
            self.written.extend(bytes.iter().take(count));
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_broke_off_is_ended_before_the_next() {
        let disk = Disk {
            written: Vec::new(),
            room: 8,
        };
        let mut lines = Lines::new(disk);
        for line in ["one\n", "second\n", "third\n"] {
            assert_eq!(lines.write(line.as_bytes()).unwrap(), line.len());
        }
        assert_eq!(lines.lost, 2);
        lines.output.room = 100;
        lines.write_all(b"fourth\n").unwrap();
        assert_eq!(lines.lost, 0);
        let written = String::from_utf8(lines.output.written).unwrap();
        assert_eq!(written, "one\nseco\nfourth\n");
    }
}
