//! Log records and panics of this image go to the gateway's log.
//!
//! `log` and the panic hook are copies of their own in every library, so nothing a plugin logs would arrive without
//! this. Events of `tracing` become `log` records by a feature of that crate which the SDK turns on.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

use log::{Level, LevelFilter, Metadata, Record};
use swapgate_abi::code;

use super::call;

/// Installs both, once per image.
pub(super) fn install(level: LevelFilter) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // A plugin that brings a logger of its own keeps it.
        if log::set_logger(&Forward).is_ok() {
            log::set_max_level(level);
        }
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !call::report_panic(&describe(info)) {
                previous(info);
            }
        }));
    });
}

/// Runs plugin code so that no panic leaves it.
///
/// # Errors
///
/// The text of the panic.
pub(super) fn barrier<R>(run: impl FnOnce() -> R) -> Result<R, String> {
    panic::catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let text = text_of(&*payload);
        // The payload is the plugin's own type, and its drop may panic as well; the second one is leaked.
        if let Err(second) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
        text
    })
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("(no text)"))
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let text = text_of(info.payload());
    match info.location() {
        Some(place) => format!("{text} (at {place})"),
        None => text,
    }
}

struct Forward;

impl log::Log for Forward {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        let level = match record.level() {
            Level::Error => code::SG_LOG_ERROR,
            Level::Warn => code::SG_LOG_WARN,
            Level::Info => code::SG_LOG_INFO,
            Level::Debug => code::SG_LOG_DEBUG,
            Level::Trace => code::SG_LOG_TRACE,
        };
        call::write_log(level, &format!("{}: {}", record.target(), record.args()));
    }

    fn flush(&self) {}
}
