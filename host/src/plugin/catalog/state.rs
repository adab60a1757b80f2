//! Where an image stands in its life.

use crate::plugin::inspect::Pin;
use crate::plugin::refusal::Refusal;

/// Where an image stands in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The file was read and says that it fits.
    Inspected,
    /// A child went through its life.
    Preflighted,
    /// It is mapped and entered.
    Loaded,
    /// It has an instance.
    Configured,
    /// The published snapshot names it.
    Active,
    /// Only older snapshots name it.
    Draining,
    /// Nobody uses it; `unload` is on its way.
    Retired,
    /// It is not mapped any more, which was checked.
    Unloaded,
    /// It serves nobody and stays mapped, for these reasons.
    Resident(Vec<Pin>),
    /// It was not taken.
    Refused(Refusal),
}

impl State {
    /// Its name in logs and in the admin API.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Inspected => "inspected",
            Self::Preflighted => "preflighted",
            Self::Loaded => "loaded",
            Self::Configured => "configured",
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Retired => "retired",
            Self::Unloaded => "unloaded",
            Self::Resident(_) => "resident",
            Self::Refused(_) => "refused",
        }
    }
}
