//! Writes a line for every exchange, as JSON or in a format of your own, to a file or to standard output.
//!
//! - [`settings`] turns the configuration into something that cannot be wrong, [`format`](mod@format) a format into pieces;
//! - [`field`]: what there is to be logged; [`line`](mod@line), [`escape`], [`redact`], [`stamp`]: how it becomes one line, whatever
//!   bytes clients send;
//! - [`queue`], [`writer`], [`sink`]: how lines get from the workers into the file; [`metrics`]: what became of them.
//!
//! Here a worker makes a line and puts it into the queue. It never waits for anything, and allocates nothing once its
//! scratch memory has grown to the size of a line.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::get_unwrap,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::unreachable,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::unchecked_time_subtraction,
    )
)]

pub mod escape;
pub mod field;
pub mod format;
pub mod line;
pub mod metrics;
pub mod queue;
pub mod redact;
pub mod settings;
pub mod sink;
pub mod stamp;
pub mod writer;

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use line::Line;
use metrics::Metrics;
use settings::{Config, Settings};
use swapgate_plugin::{ConfigError, Error, Log, LogCall, Plugin, flags};
use writer::Writer;

/// Scratch memory of a worker that grew beyond this is given back.
const MOST_SCRATCH: usize = 64 * 1024;

/// An instance.
#[derive(Debug)]
pub struct AccessLog {
    settings: Settings,
    metrics: Arc<Metrics>,
    /// From `start` on; never in a preflight.
    writer: OnceLock<Writer>,
}

impl Plugin for AccessLog {
    /// Last of all, so that it sees what the others did.
    const PRIORITY: i32 = -1000;
    const FLAGS: u32 = flags::OWNS_THREADS;
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let settings = settings::validate(config)?;
        Ok(Self {
            metrics: Arc::new(Metrics::declare(&settings.output)),
            settings,
            writer: OnceLock::new(),
        })
    }

    fn start(&self) -> Result<(), Error> {
        let metrics = Arc::clone(&self.metrics);
        let writer = Writer::start(&self.settings.output, self.settings.limits, metrics)?;
        // Called once; a second writer would end by itself.
        let _ = self.writer.set(writer);
        Ok(())
    }
}

impl Log for AccessLog {
    fn log(&self, exchange: &mut LogCall<'_>) -> Result<(), Error> {
        thread_local! {
            static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            let mut line = Line::new(scratch, self.settings.encoding);
            for piece in &self.settings.pieces {
                line.piece(piece, exchange, &self.settings.redact);
            }
            line.end();
            if let Some(writer) = self.writer.get() {
                writer.push(scratch);
            }
            if scratch.capacity() > MOST_SCRATCH {
                *scratch = Vec::new();
            }
        });
        Ok(())
    }
}

swapgate_plugin::export!(AccessLog, id = "access-log");

#[cfg(test)]
mod tests;
