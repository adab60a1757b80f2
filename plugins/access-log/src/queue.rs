//! Lines on their way from the workers to the writer.
//!
//! One buffer behind a lock: a worker copies its line to the end, the writer exchanges the whole buffer for an empty one.
//! Both take less than a system call, no memory is allocated for a line, and the writer gets its work in one piece. It
//! looks whenever `flush` is over, and is woken before that only when half of the room is taken; so a worker wakes nobody
//! for a single line.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes a line takes on average, for the bound on bytes. Lines longer than that make the queue hold fewer.
const USUAL_LINE: usize = 1024;
/// Room there is at least, so that a short queue takes any line a request can make.
const LEAST_BYTES: usize = 1024 * 1024;

/// Room that is asked for beforehand, so that a buffer rarely grows under the lock. The system gives memory only for what
/// is written to.
const FIRST_ROOM: usize = 16 * 1024 * 1024;

/// How much may wait, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    lines: usize,
    bytes: usize,
    /// How long a line may wait.
    pub flush: Duration,
}

impl Limits {
    /// So many lines, and a kibibyte for each.
    #[must_use]
    pub fn new(lines: usize, flush: Duration) -> Self {
        Self {
            lines,
            bytes: (lines * USUAL_LINE).max(LEAST_BYTES),
            flush,
        }
    }
}

/// The queue. Shared by the workers and one writer.
#[derive(Debug)]
pub struct Queue {
    limits: Limits,
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    batch: Batch,
    closed: bool,
}

/// Whole lines.
#[derive(Debug, Default)]
pub struct Batch {
    /// How many.
    pub lines: usize,
    /// All of them, each with its end.
    pub bytes: Vec<u8>,
}

impl Batch {
    /// An empty one, to be exchanged for the queue's.
    #[must_use]
    pub fn with_room(limits: Limits) -> Self {
        let mut bytes = Vec::new();
        // Where there is no memory for it now, there may be when lines come.
        let _ = bytes.try_reserve(limits.bytes.min(FIRST_ROOM));
        Self { lines: 0, bytes }
    }
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let waiting = Waiting {
            batch: Batch::with_room(limits),
            ..Waiting::default()
        };
        Self {
            limits,
            waiting: Mutex::new(waiting),
            wake: Condvar::new(),
        }
    }

    /// Adds a line. False: there is no room, and it is dropped.
    #[must_use]
    pub fn push(&self, line: &[u8]) -> bool {
        let mut waiting = self.lock();
        let batch = &mut waiting.batch;
        let bytes = batch.bytes.len() + line.len();
        if batch.lines >= self.limits.lines || bytes > self.limits.bytes {
            return false;
        }
        if batch.bytes.try_reserve(line.len()).is_err() {
            return false;
        }
        let was_half = self.is_half_full(batch);
        batch.bytes.extend_from_slice(line);
        batch.lines += 1;
        let is_half = self.is_half_full(batch);
        drop(waiting);
        if is_half && !was_half {
            self.wake.notify_one();
        }
        true
    }

    /// Waits until `flush` is over, half of the room is taken, or the queue is closed, and exchanges what waits for `batch`,
    /// which must be empty. True: it is closed, and nothing will come any more.
    pub fn take(&self, batch: &mut Batch) -> bool {
        let idle = |waiting: &mut Waiting| !waiting.closed && !self.is_half_full(&waiting.batch);
        let mut waiting = self.wait(idle);
        std::mem::swap(&mut waiting.batch, batch);
        waiting.closed
    }

    /// Waits until `flush` is over or the queue is closed. True: it is closed.
    pub fn pause(&self) -> bool {
        self.wait(|waiting| !waiting.closed).closed
    }

    /// Says that nothing will come any more.
    pub fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    fn is_half_full(&self, batch: &Batch) -> bool {
        batch.lines * 2 >= self.limits.lines || batch.bytes.len() * 2 >= self.limits.bytes
    }

    fn wait(&self, condition: impl FnMut(&mut Waiting) -> bool) -> MutexGuard<'_, Waiting> {
        let waited = self
            .wake
            .wait_timeout_while(self.lock(), self.limits.flush, condition);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::{Batch, LEAST_BYTES, Limits, Queue};

    fn queue(lines: usize, flush: Duration) -> Queue {
        Queue::new(Limits::new(lines, flush))
    }

    #[test]
    fn what_has_no_room_is_dropped() {
        let queue = queue(2, Duration::ZERO);
        let taken = ["a\n", "b\n", "c\n"].map(|line| queue.push(line.as_bytes()));
        assert_eq!(taken, [true, true, false]);
        let mut batch = Batch::default();
        assert!(!queue.take(&mut batch));
        assert_eq!(
            (batch.lines, batch.bytes.as_slice()),
            (2, b"a\nb\n".as_slice())
        );

        let long = vec![b'x'; LEAST_BYTES / 2 + 1];
        assert!(queue.push(&long) && !queue.push(&long));
    }

    #[test]
    fn half_of_the_room_and_the_end_wake_the_writer() {
        // A writer that waited for the time to be over would wait for an hour.
        let queue = queue(4, Duration::from_secs(3600));
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut batch = Batch::default();
                assert!(!queue.take(&mut batch));
                let first = batch.lines;
                let mut batch = Batch::default();
                assert!(queue.take(&mut batch));
                assert!(queue.pause());
                (first, batch.lines)
            });
            assert!(queue.push(b"a\n"));
            assert!(queue.push(b"b\n"));
            while !queue.lock().batch.bytes.is_empty() {
                thread::yield_now();
            }
            assert!(queue.push(b"c\n"));
            queue.close();
            assert_eq!(writer.join().unwrap(), (2, 1));
        });
    }
}
