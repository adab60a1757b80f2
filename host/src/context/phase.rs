//! The phases of an exchange, numbered as in the contract.

use std::fmt;

use swapgate_abi as abi;

/// One phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Phase {
    /// Before routing.
    Rewrite = abi::SG_PHASE_REWRITE,
    /// After routing, before the upstream.
    Access = abi::SG_PHASE_ACCESS,
    /// The head of the answer is there.
    HeaderFilter = abi::SG_PHASE_HEADER_FILTER,
    /// The exchange is over.
    Log = abi::SG_PHASE_LOG,
    /// The last call for an exchange.
    RequestEnd = abi::SG_PHASE_REQUEST_END,
}

/// Every phase, in the order in which they run.
pub const PHASES: [Phase; 5] = [
    Phase::Rewrite,
    Phase::Access,
    Phase::HeaderFilter,
    Phase::Log,
    Phase::RequestEnd,
];

impl Phase {
    /// Its name, as plugin authors and logs know it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rewrite => "rewrite",
            Self::Access => "access",
            Self::HeaderFilter => "header_filter",
            Self::Log => "log",
            Self::RequestEnd => "request_end",
        }
    }

    /// Its position in [`PHASES`], for tables with one entry a phase.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Rewrite => 0,
            Self::Access => 1,
            Self::HeaderFilter => 2,
            Self::Log => 3,
            Self::RequestEnd => 4,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
