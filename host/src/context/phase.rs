//! The phases of an exchange, numbered as in the contract, and the lanes they belong to.

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
    /// Bytes of the request's body came, or its end.
    RequestBody = abi::SG_PHASE_REQUEST_BODY,
    /// The head of the answer is there.
    HeaderFilter = abi::SG_PHASE_HEADER_FILTER,
    /// Bytes of the answer's body came, or its end.
    BodyFilter = abi::SG_PHASE_BODY_FILTER,
    /// A message ended with trailers.
    Trailers = abi::SG_PHASE_TRAILERS,
    /// The exchange is over.
    Log = abi::SG_PHASE_LOG,
    /// The last call for an exchange.
    RequestEnd = abi::SG_PHASE_REQUEST_END,
    /// Something happened that a hook waits for, or waited for. No chain walks through it.
    OnEvent = abi::SG_PHASE_ON_EVENT,
    /// A period is over, in the background of an instance. Belongs to no exchange.
    OnTick = abi::SG_PHASE_ON_TICK,
    /// An operation came to its end in the background of an instance. Belongs to no exchange.
    OnOpDone = abi::SG_PHASE_ON_OP_DONE,
}

/// Every phase, in the order in which they run; those that no chain walks through at the end.
pub const PHASES: [Phase; 11] = [
    Phase::Rewrite,
    Phase::Access,
    Phase::RequestBody,
    Phase::HeaderFilter,
    Phase::BodyFilter,
    Phase::Trailers,
    Phase::Log,
    Phase::RequestEnd,
    Phase::OnEvent,
    Phase::OnTick,
    Phase::OnOpDone,
];

impl Phase {
    /// Those whose hooks answer something in an exchange, in the order in which they run.
    pub fn answering() -> impl Iterator<Item = Self> {
        PHASES
            .into_iter()
            .take_while(|phase| *phase != Self::RequestEnd)
    }

    /// Its name, as plugin authors and logs know it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rewrite => "rewrite",
            Self::Access => "access",
            Self::RequestBody => "request_body",
            Self::HeaderFilter => "header_filter",
            Self::BodyFilter => "body_filter",
            Self::Trailers => "trailers",
            Self::Log => "log",
            Self::RequestEnd => "request_end",
            Self::OnEvent => "on_event",
            Self::OnTick => "on_tick",
            Self::OnOpDone => "on_op_done",
        }
    }

    /// Its position in [`PHASES`], for tables with one entry a phase.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize - 1
    }

    /// Its number in the contract.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Whether a chain walks through it.
    #[must_use]
    pub const fn is_walked(self) -> bool {
        !matches!(self, Self::OnEvent | Self::OnTick | Self::OnOpDone)
    }

    /// Whether a hook of it may wait.
    #[must_use]
    pub const fn may_wait(self) -> bool {
        self.is_walked() && !matches!(self, Self::Log | Self::RequestEnd)
    }

    /// Whether it is about the bytes of a body.
    #[must_use]
    pub const fn is_of_body(self) -> bool {
        matches!(self, Self::RequestBody | Self::BodyFilter)
    }

    /// The lane it belongs to. `trailers` belongs to the lane whose trailers they are, which whoever calls it knows; what
    /// comes after both counts as the second one.
    #[must_use]
    pub const fn lane(self) -> Lane {
        match self {
            Self::Rewrite | Self::Access | Self::RequestBody => Lane::Request,
            _ => Lane::Response,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One of the two ways through an exchange, which stand still and go on independently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Lane {
    /// `rewrite`, `access`, `request_body`.
    Request = abi::SG_LANE_REQUEST,
    /// `header_filter`, `body_filter`.
    Response = abi::SG_LANE_RESPONSE,
}

/// Both lanes.
pub const LANES: [Lane; 2] = [Lane::Request, Lane::Response];

impl Lane {
    /// Its number in the contract.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The lane with this number in the contract.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            abi::SG_LANE_REQUEST => Self::Request,
            abi::SG_LANE_RESPONSE => Self::Response,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_has_its_place() {
        for (position, phase) in PHASES.into_iter().enumerate() {
            assert_eq!(phase.index(), position, "{phase}");
        }
    }
}
