//! Why a plugin does not get what it asked for.

use swapgate_abi as abi;

/// Why a plugin does not get what it asked for; each has its code in the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// Malformed argument.
    Invalid,
    /// No such thing in this exchange.
    NotFound,
    /// Not in this phase.
    WrongPhase,
    /// Longer than the gateway takes.
    TooLarge,
    /// Belongs to the gateway, or is not on a list of what is allowed.
    Forbidden,
    /// The token belongs to nobody any more, or to somebody else.
    Stale,
    /// No hook is running on this thread.
    WrongThread,
    /// Not here: in a preflight, or the gateway has no room for it now.
    Unavailable,
    /// Somebody else was first.
    Conflict,
}

impl Denied {
    /// The code in the contract.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Invalid => abi::SG_E_INVALID,
            Self::NotFound => abi::SG_E_NOT_FOUND,
            Self::WrongPhase => abi::SG_E_WRONG_PHASE,
            Self::TooLarge => abi::SG_E_TOO_LARGE,
            Self::Forbidden => abi::SG_E_FORBIDDEN,
            Self::Stale => abi::SG_E_STALE,
            Self::WrongThread => abi::SG_E_WRONG_THREAD,
            Self::Unavailable => abi::SG_E_UNAVAILABLE,
            Self::Conflict => abi::SG_E_CONFLICT,
        }
    }
}
