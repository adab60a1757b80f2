//! The thread that copies, hashes and reads plugin files, so that control does not wait for a disk.
//!
//! It is there from the start to the end. The runtime's own threads come when they are needed, and it panics where the system
//! gives none; a thread of Rust even ends the whole process where it gets no memory for its signal stack.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use tokio::sync::oneshot;

/// How nice it is: it works for milliseconds at a time that a worker on the same core would have to wait for. Traffic goes
/// first.
const BEHIND_TRAFFIC: i32 = 19;

type Job = Box<dyn FnOnce() + Send>;

/// A handle on the thread, which ends with it.
#[derive(Debug)]
pub(super) struct Files(Sender<Job>);

impl Files {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives none.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, orders) = channel::<Job>();
        thread::Builder::new()
            .name("files".to_owned())
            .spawn(move || {
                let _ = rustix::process::nice(BEHIND_TRAFFIC);
                while let Ok(job) = orders.recv() {
                    // A panic is a fault of ours, and whoever waits is told; the next file is another matter.
                    let _ = catch_unwind(AssertUnwindSafe(job));
                }
            })?;
        Ok(Self(jobs))
    }

    /// Runs work there.
    ///
    /// # Errors
    /// It panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, String> {
        let (done, outcome) = oneshot::channel();
        let job = Box::new(move || {
            // Whoever waited may have given up.
            let _ = done.send(work());
        });
        let over = || "its thread is gone".to_owned();
        self.0.send(job).map_err(|_| over())?;
        outcome.await.map_err(|_| "it panicked".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::testing::run;

    #[test]
    fn a_panic_costs_only_the_file_it_was_in() {
        run(async {
            let files = Files::start().expect("a thread");
            let thread = || thread::current().id();
            let first = files.run(thread).await;
            let broken: Result<(), String> = files.run(|| panic!("on purpose")).await;
            assert_eq!(broken, Err("it panicked".to_owned()));
            assert_eq!(files.run(thread).await, first);
        });
    }
}
