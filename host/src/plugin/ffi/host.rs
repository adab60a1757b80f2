//! The host table: what plugins call.
//!
//! Each function reads its arguments, does one thing to the running [`Frame`](crate::context::Frame) and answers with a
//! code. Two rules hold for all of them: a token that is not the running exchange's is answered, never followed; and
//! nothing unwinds out.

use std::borrow::Cow;
use std::ffi::c_void;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use swapgate_abi as abi;
use swapgate_abi::{SgHost, SgStr};

use super::attribute::{attr_number, attr_set, attr_text, param_get, param_nth};
use super::body::{
    body_append, body_append_own, body_drain, body_hold, body_ignore, body_len, body_pieces,
    body_replace,
};
use super::extension::extension;
use super::header::{
    header_append, header_get, header_nth, header_remove, header_set, headers_list,
};
use super::inward::{barrier, caller, input};
use super::leave::{
    consumer_get, consumer_set, respond, set_error, state_get, state_set, var_get, var_set,
};
use super::metric::{metric_add, metric_declare, metric_observe, metric_set};
use super::view::size_u32;
use super::waiting::{op_cancel, sleep, tick_every, upstream_set, wake, waker};
use crate::fault::label::ImageIdentity;
use crate::metrics::book::{Book, ImageMetrics};
use crate::ops::kv;
use crate::ops::services::Services;
use crate::plugin::image::Image;

/// The table one image is given. Its address stays the same for as long as the box lives.
pub struct HostTable {
    raw: SgHost,
    /// Never a box: moving one says that no other pointer leads to what is in it, and `raw` has one.
    caller: Arc<Caller>,
}

/// What stands behind a host table: who calls, and what it counts.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) identity: Arc<ImageIdentity>,
    pub(super) metrics: ImageMetrics,
    /// What it keeps across swaps.
    pub(super) kv: kv::Space,
    /// What it shares with all others.
    pub(super) services: Arc<Services>,
    /// Whether this is the throw-away child, where nothing may be begun.
    pub(super) preflight: bool,
    /// The image in use, while there is one; what must outlive a request holds it.
    image: Mutex<Weak<Image>>,
}

impl Caller {
    /// The image that calls, to be kept mapped.
    pub(super) fn image(&self) -> Option<Arc<Image>> {
        let image = self.image.lock().unwrap_or_else(PoisonError::into_inner);
        image.upgrade()
    }
}

/// What host tables are made of.
#[derive(Debug, Clone)]
pub struct Grounds {
    /// Where metrics stand.
    pub book: Arc<Book>,
    /// What all plugins share.
    pub services: Arc<Services>,
    /// Whether this is the throw-away child of a preflight.
    pub preflight: bool,
}

// SAFETY: the one pointer in the table leads to the caller, which threads may share and which the `Arc` beside it keeps;
// functions are the same for every thread. For as long as the table lives.
unsafe impl Send for HostTable {}
// SAFETY: as above; the table itself never changes.
unsafe impl Sync for HostTable {}

impl Deref for HostTable {
    type Target = SgHost;

    fn deref(&self) -> &SgHost {
        &self.raw
    }
}

impl HostTable {
    /// Whose table it is.
    #[must_use]
    pub fn identity(&self) -> &Arc<ImageIdentity> {
        &self.caller.identity
    }

    /// What it counts.
    #[must_use]
    pub fn metrics(&self) -> &ImageMetrics {
        &self.caller.metrics
    }

    /// Says which image calls through it from now on.
    pub(in crate::plugin) fn belongs_to(&self, image: &Arc<Image>) {
        let mut place = self
            .caller
            .image
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *place = Arc::downgrade(image);
    }
}

/// Makes the table for one image.
#[must_use]
pub fn host_table(identity: Arc<ImageIdentity>, grounds: &Grounds) -> Box<HostTable> {
    let services = Arc::clone(&grounds.services);
    let caller = Arc::new(Caller {
        metrics: ImageMetrics::new(&grounds.book, &identity.id),
        kv: services.kv.space(&identity.id),
        services,
        preflight: grounds.preflight,
        image: Mutex::default(),
        identity,
    });
    let private_: *const c_void = Arc::as_ptr(&caller).cast();
    Box::new(HostTable {
        raw: SgHost {
            struct_size: size_u32::<SgHost>(),
            abi_minor: abi::ABI_MINOR,
            private_,
            log,
            attr_text,
            attr_number,
            attr_set,
            param_get,
            param_nth,
            header_get,
            header_nth,
            headers_list,
            header_set,
            header_append,
            header_remove,
            respond,
            var_get,
            var_set,
            state_get,
            state_set,
            consumer_get,
            consumer_set,
            set_error,
            metric_declare,
            metric_add,
            metric_set,
            metric_observe,
            extension,
            sleep,
            op_cancel,
            waker,
            wake,
            tick_every,
            upstream_set,
            body_len,
            body_pieces,
            body_drain,
            body_replace,
            body_append,
            body_append_own,
            body_hold,
            body_ignore,
        },
        caller,
    })
}

unsafe extern "C" fn log(host: *const SgHost, level: u32, text: SgStr) -> i32 {
    barrier(|| {
        // SAFETY: a plugin passes the pointer it was given at its entry, valid until its `unload` returns.
        let Some(caller) = (unsafe { caller(host) }) else {
            return abi::SG_E_INVALID;
        };
        match input(text) {
            Ok(text) => write_log(&caller.identity, level, text),
            Err(denied) => denied.code(),
        }
    })
}

fn write_log(identity: &ImageIdentity, level: u32, text: &[u8]) -> i32 {
    let line = String::from_utf8_lossy(text);
    let (plugin, version) = (identity.id.as_str(), identity.version.as_str());
    match level {
        abi::SG_LOG_ERROR => tracing::error!(target: "plugin", plugin, version, "{line}"),
        abi::SG_LOG_WARN => tracing::warn!(target: "plugin", plugin, version, "{line}"),
        abi::SG_LOG_INFO => tracing::info!(target: "plugin", plugin, version, "{line}"),
        abi::SG_LOG_DEBUG => tracing::debug!(target: "plugin", plugin, version, "{line}"),
        abi::SG_LOG_TRACE => tracing::trace!(target: "plugin", plugin, version, "{line}"),
        _ => {
            tracing::warn!(target: "plugin", plugin, version, level, "{line}");
            return abi::SG_E_INVALID;
        }
    }
    if matches!(line, Cow::Owned(_)) {
        abi::SG_E_INVALID
    } else {
        abi::SG_OK
    }
}
