//! Where plugins are attached.

use std::sync::Arc;

use semver::VersionReq;

use super::{Place, Secret};
use crate::config::plugin::Origin;

/// One attachment of a plugin.
#[derive(Debug, Clone)]
pub struct PluginUse {
    /// Id of the plugin.
    pub name: Arc<str>,
    /// Which versions it admits.
    pub version: VersionReq,
    /// The configuration, as JSON text with secrets filled in. Never print it.
    pub config: Secret,
    /// What happens when the plugin fails.
    pub on_error: OnError,
    /// What happens when the state of the instance before would be lost.
    pub on_state_refusal: OnStateRefusal,
    /// Its place in every phase; none: what the plugin says.
    pub priority: Option<i32>,
    /// Where it stands in the file.
    pub place: Place,
    /// Where each value of the configuration stands; the default knows only [`PluginUse::place`].
    pub origin: Origin,
}

/// What happens when a plugin fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The exchange is answered with 500.
    Closed,
    /// The failed hook is passed over; after a panic the plugin is skipped for the rest of the exchange.
    Open,
}

/// What happens when the state of the instance before would be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStateRefusal {
    /// The new instance begins empty, which is said.
    StartEmpty,
    /// The new instance does not serve: the one before stays, or the change is refused.
    KeepOld,
}
