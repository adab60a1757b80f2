//! What `access` waits for, when the configuration says so.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use swapgate_plugin::ops::{self, http};
use swapgate_plugin::{HostError, log};

use crate::trace::Trace;

/// Waits and tells what came of it.
pub(crate) async fn wait(trace: &mut Trace, what: &str) -> Result<(), HostError> {
    let mut cancelled = Cancelled { told: false };
    match what {
        "sleep" => trace.code("sleep", ops::sleep(Duration::from_millis(1)).await),
        "never" => {
            log::info!(target: "conformance", "waits for the client to go");
            ops::sleep(Duration::from_secs(60)).await?;
        }
        "wake" => {
            woken().await;
            trace.code("wake", Ok(()));
        }
        "callout" => {
            let answer = http::Request::to_service("up", "/called").send().await;
            let status = answer.as_ref().map(|answer| u64::from(answer.status()));
            trace.number("callout", status.map_err(|error| *error));
            let body = answer.as_ref().map(http::Answer::body);
            trace.bytes("callout.body", body.map_err(|error| *error));
        }
        _ => trace.number("blocking", ops::blocking(|| 7).await),
    }
    cancelled.told = true;
    Ok(())
}

/// Comes when another thread wakes it.
async fn woken() {
    let rung = Arc::new(AtomicBool::new(false));
    let mut started = false;
    poll_fn(|context| {
        if rung.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        if !started {
            started = true;
            let (rung, waker) = (Arc::clone(&rung), context.waker().clone());
            thread::spawn(move || {
                rung.store(true, Ordering::Release);
                waker.wake();
            });
        }
        Poll::Pending
    })
    .await;
}

/// Dropped before it was told anything: nobody waits any more.
struct Cancelled {
    told: bool,
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        if !self.told {
            // The target stands before the text.
            log::info!(target: "trace X", "cancelled=yes");
        }
    }
}
