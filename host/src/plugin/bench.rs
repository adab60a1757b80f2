//! How long the hooks of a plugin take and how often they allocate, in exchanges without a network.
//!
//! Made for `swapgate plugin bench`, whose process ends with it: nothing is unloaded here. Many exchanges are prepared,
//! then one hook is called in all of them between two readings of the clock, so that what is measured is the hook with
//! the gateway's part of the call and nothing else.

mod round;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, Uri};
use serde::Serialize;
use swapgate_abi::SG_PENDING;
use tokio::sync::mpsc;

use crate::context::Phase;
use crate::metrics::book::Book;
use crate::ops::blocking::Bounds;
use crate::ops::services::Services;
use crate::plugin::config_hash::ConfigHash;
use crate::plugin::ffi::host::Grounds;
use crate::plugin::fit::Fit;
use crate::plugin::image::Image;
use crate::plugin::instance::Instance;
use crate::plugin::library::{self, Loaded, Mapped, Mode};
use crate::plugin::refusal::{Reason, Refusal, Step};
use crate::router::table::Table;
use round::{BODY, Bench};

/// What values may take.
const VALUES: u64 = 64 << 20;

/// The request of every exchange.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub target: Uri,
    /// Its headers.
    pub headers: HeaderMap,
}

/// What one hook costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cost {
    /// The hook.
    pub hook: &'static str,
    /// How often it was called.
    pub calls: usize,
    /// Nanoseconds a call: the median over batches.
    pub ns_median: f64,
    /// The best batch.
    pub ns_best: f64,
    /// Allocations a call, as the plugin counts them; none if it does not count.
    pub allocations: Option<f64>,
    /// What it answered most recently.
    pub code: i32,
}

/// What all hooks cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Costs {
    /// In their order.
    pub hooks: Vec<Cost>,
    /// What the reader should know.
    pub notes: Vec<String>,
}

/// Takes the time of every hook, for about this long each.
///
/// # Errors
/// The plugin refuses; the configuration was tried in a preflight before.
pub fn run(fit: &Fit, config: &str, sample: &Sample, each: Duration) -> Result<Costs, Refusal> {
    let refuse = |step, reason| fit.refuse(step, reason);
    let identity = Arc::new(fit.identity());
    let bounds = Bounds {
        threads: 1,
        queue: 1,
    };
    let grounds = Grounds {
        book: Book::new(1),
        services: Services::with(VALUES, bounds),
        preflight: false,
    };
    let key = fit.key();
    let mapped = Mapped::open(&fit.staged.path, key.digest, &identity, key.door, &grounds)
        .and_then(|mapped| mapped.find_door(Mode::Serve)?.enter())
        .map_err(|reason| refuse(Step::Load, reason))?;
    let (instance, mut notes) =
        prepare(&mapped, config).map_err(|reason| refuse(Step::Configure, reason))?;
    let counting = mapped.table().memory().is_some();
    if !counting {
        notes.push("the plugin does not count its allocations: it has no hook `memory`".to_owned());
    }
    let mut bench = Bench {
        loaded: &mapped,
        instance: &instance,
        sample,
        table: Table::empty(),
        tokens: 0,
        counting,
    };
    let hooks = bench.all(each);
    if hooks.iter().any(|cost| cost.code == SG_PENDING) {
        notes.push("a hook that waits is measured up to where it waits".to_owned());
    }
    if Phase::answering().any(|phase| phase.is_of_body() && instance.bound().takes_part(phase)) {
        notes.push(format!(
            "hooks of bodies are called once with a whole body of {} bytes",
            BODY.len()
        ));
    }
    // Its destructor would hand it to a catalog, and there is none: the process ends soon.
    std::mem::forget(instance);
    Ok(Costs { hooks, notes })
}

fn prepare(loaded: &Arc<Loaded>, config: &str) -> Result<(Arc<Instance>, Vec<String>), Reason> {
    let table = loaded.table();
    table
        .load(loaded.mapped().host())
        .map_err(|error| error.reason("load", |text| Reason::LoadFailed { text }))?;
    let raw = table
        .configure(loaded.mapped().host(), config)
        .map_err(|error| error.reason("configure", |text| Reason::ConfigRefused { text }))?;
    let (retired, _) = mpsc::unbounded_channel();
    let image = Image::new(Arc::clone(loaded), retired);
    let hash = ConfigHash::of(loaded.mapped().key().digest, config);
    let instance = Arc::new(library::instance(image, loaded, raw, hash, 1));
    let mut notes = Vec::new();
    if let Err(error) = table.start(raw, instance.token()) {
        notes.push(format!("start failed, {error:?}"));
    }
    Ok((instance, notes))
}
