//! Ctrl-C and SIGTERM, noted instead of ending this process, so that no program it started is left behind.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::failure::{Context, Failure, Outcome};

static ARRIVED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// From now on signals are noted; called once builds are done, which should end at once, or before what has to be tidied
/// up after.
pub(crate) fn catch() -> Outcome<()> {
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&ARRIVED))
            .context("signals cannot be caught")?;
    }
    Ok(())
}

/// Whether a signal has arrived since the last time this was asked.
pub(crate) fn take() -> bool {
    ARRIVED.swap(false, Ordering::Relaxed)
}

/// Fails when a signal has arrived; the programs of the command end with it.
pub(crate) fn must_be_quiet() -> Outcome<()> {
    if ARRIVED.load(Ordering::Relaxed) {
        Err(Failure::new("interrupted"))
    } else {
        Ok(())
    }
}
