//! The functions of the gateway for metrics, which need no exchange.

use swapgate_abi::{MetricTok, SgHost, SgLabel, SgStr};

use super::{Raw, here};
use crate::metric::Kind;
use crate::status::HostError;

/// One series as the contract knows it: a table and a token of it.
#[derive(Debug, Clone, Copy)]
pub struct RawMetric {
    host: *const SgHost,
    token: MetricTok,
}

// SAFETY: the functions of metrics may be called from any thread; the table never changes, and the gateway keeps it for
// as long as code of this image can run (testing keeps it for ever).
unsafe impl Send for RawMetric {}
// SAFETY: as above; several threads may call at once.
unsafe impl Sync for RawMetric {}

impl RawMetric {
    /// Declares a series at the gateway that this thread works for. Without one (a test that calls `configure` itself)
    /// there is nobody to count for, and what is declared counts nowhere.
    ///
    /// # Errors
    ///
    /// As `metric_declare` in the header.
    pub fn declare(
        kind: Kind,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        bounds: &[f64],
    ) -> Result<Self, HostError> {
        let host = here();
        let mut token = 0;
        // SAFETY: here() answers null or a complete table, valid until unload() has returned.
        let Some(table) = (unsafe { host.as_ref() }) else {
            return Ok(Self { host, token });
        };
        let labels: Vec<SgLabel> = labels
            .iter()
            .map(|(name, value)| SgLabel {
                name: SgStr::new(name.as_bytes()),
                value: SgStr::new(value.as_bytes()),
            })
            .collect();
        let (name, help) = (SgStr::new(name.as_bytes()), SgStr::new(help.as_bytes()));
        let (label, label_count) = (labels.as_ptr(), labels.len());
        let (bound, bound_count) = (bounds.as_ptr(), bounds.len());
        let (declare, kind, out) = (table.metric_declare, kind.number(), &raw mut token);
        // SAFETY: the table is complete (as above); texts, labels and bounds are as long as said and read during the
        // call only, `out` is a local.
        let code = unsafe {
            declare(
                host,
                kind,
                name,
                help,
                label,
                label_count,
                bound,
                bound_count,
                out,
            )
        };
        HostError::check(code).map(|()| Self { host, token })
    }

    /// The token; 0 where there is no gateway.
    #[must_use]
    pub fn token(self) -> MetricTok {
        self.token
    }

    /// The same functions under another token. One that is not of this image is answered [`HostError::Stale`].
    #[must_use]
    pub fn with_token(self, token: MetricTok) -> Self {
        Self { token, ..self }
    }

    /// Adds to a counter or a gauge.
    ///
    /// # Errors
    ///
    /// As `metric_add` in the header.
    pub fn add(&self, value: f64) -> Result<(), HostError> {
        let Some(table) = self.table() else {
            return Ok(());
        };
        // SAFETY: the table is complete and valid (RawMetric); the rest are plain numbers.
        HostError::check(unsafe { (table.metric_add)(self.host, self.token, value) })
    }

    /// Sets a gauge.
    ///
    /// # Errors
    ///
    /// As `metric_set` in the header.
    pub fn set(&self, value: f64) -> Result<(), HostError> {
        let Some(table) = self.table() else {
            return Ok(());
        };
        // SAFETY: as in add().
        HostError::check(unsafe { (table.metric_set)(self.host, self.token, value) })
    }

    /// Counts an observation of a histogram.
    ///
    /// # Errors
    ///
    /// As `metric_observe` in the header.
    pub fn observe(&self, value: f64) -> Result<(), HostError> {
        let Some(table) = self.table() else {
            return Ok(());
        };
        // SAFETY: as in add().
        HostError::check(unsafe { (table.metric_observe)(self.host, self.token, value) })
    }

    fn table<'a>(&self) -> Option<&'a SgHost> {
        // SAFETY: null or the table declare() found, which outlives whatever code of this image runs (see Send).
        unsafe { self.host.as_ref() }
    }
}

impl Raw<'_> {
    /// Declares a series inside a hook, which the gateway refuses; for tests of the gateway.
    ///
    /// # Errors
    ///
    /// As `metric_declare` in the header.
    #[doc(hidden)]
    pub fn metric_declare(&self, name: &str) -> Result<RawMetric, HostError> {
        RawMetric::declare(Kind::Counter, name, "Declared in a hook.", &[], &[])
    }
}
