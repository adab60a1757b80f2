//! Result codes and what they mean in Rust. An unknown code stays unknown; it is never guessed.

use std::fmt;

use swapgate_abi::code;

/// Why the other side did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostError {
    /// It did not work.
    Failed,
    /// A panic or an exception was caught at the border.
    Panic,
    /// An argument is malformed.
    Invalid,
    /// There is no such thing.
    NotFound,
    /// The token belongs to an exchange that is over or not the running one.
    Stale,
    /// No hook is running on this thread.
    WrongThread,
    /// Not in this phase.
    WrongPhase,
    /// Longer than the gateway takes; nothing was changed.
    TooLarge,
    /// Not here, for example inside a preflight.
    Unavailable,
    /// The versions do not fit.
    Version,
    /// Framing and hop-by-hop headers belong to the gateway.
    Forbidden,
    /// What was asked for is not wanted any more.
    Cancelled,
    /// It took too long.
    Timeout,
    /// Somebody else was first.
    Conflict,
    /// A code this build does not know.
    Unknown(i32),
}

impl HostError {
    /// Reads the answer of a host function: zero is success, everything else is not.
    ///
    /// # Errors
    ///
    /// The error the code stands for.
    pub fn check(code: i32) -> Result<(), Self> {
        if code == code::SG_OK {
            Ok(())
        } else {
            Err(Self::from_code(code))
        }
    }

    /// The error a code stands for.
    #[must_use]
    pub fn from_code(code: i32) -> Self {
        match code {
            code::SG_E_FAILED => Self::Failed,
            code::SG_E_PANIC => Self::Panic,
            code::SG_E_INVALID => Self::Invalid,
            code::SG_E_NOT_FOUND => Self::NotFound,
            code::SG_E_STALE => Self::Stale,
            code::SG_E_WRONG_THREAD => Self::WrongThread,
            code::SG_E_WRONG_PHASE => Self::WrongPhase,
            code::SG_E_TOO_LARGE => Self::TooLarge,
            code::SG_E_UNAVAILABLE => Self::Unavailable,
            code::SG_E_VERSION => Self::Version,
            code::SG_E_FORBIDDEN => Self::Forbidden,
            code::SG_E_CANCELLED => Self::Cancelled,
            code::SG_E_TIMEOUT => Self::Timeout,
            code::SG_E_CONFLICT => Self::Conflict,
            unknown => Self::Unknown(unknown),
        }
    }

    /// The code it crosses the line with.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Failed => code::SG_E_FAILED,
            Self::Panic => code::SG_E_PANIC,
            Self::Invalid => code::SG_E_INVALID,
            Self::NotFound => code::SG_E_NOT_FOUND,
            Self::Stale => code::SG_E_STALE,
            Self::WrongThread => code::SG_E_WRONG_THREAD,
            Self::WrongPhase => code::SG_E_WRONG_PHASE,
            Self::TooLarge => code::SG_E_TOO_LARGE,
            Self::Unavailable => code::SG_E_UNAVAILABLE,
            Self::Version => code::SG_E_VERSION,
            Self::Forbidden => code::SG_E_FORBIDDEN,
            Self::Cancelled => code::SG_E_CANCELLED,
            Self::Timeout => code::SG_E_TIMEOUT,
            Self::Conflict => code::SG_E_CONFLICT,
            Self::Unknown(code) => code,
        }
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "it did not work (SG_E_FAILED)",
            Self::Panic => "a panic was caught at the border (SG_E_PANIC)",
            Self::Invalid => "an argument is malformed (SG_E_INVALID)",
            Self::NotFound => "there is no such thing in this exchange (SG_E_NOT_FOUND)",
            Self::Stale => "the exchange is over or is not the running one (SG_E_STALE)",
            Self::WrongThread => "no hook is running on this thread (SG_E_WRONG_THREAD)",
            Self::WrongPhase => "this cannot be done in this phase (SG_E_WRONG_PHASE)",
            Self::TooLarge => "that is longer than the gateway takes (SG_E_TOO_LARGE)",
            Self::Unavailable => "this is not available here (SG_E_UNAVAILABLE)",
            Self::Version => "the versions do not fit (SG_E_VERSION)",
            Self::Forbidden => {
                "framing and hop-by-hop headers belong to the gateway (SG_E_FORBIDDEN)"
            }
            Self::Cancelled => "this is not wanted any more (SG_E_CANCELLED)",
            Self::Timeout => "it took too long (SG_E_TIMEOUT)",
            Self::Conflict => "somebody else was first (SG_E_CONFLICT)",
            Self::Unknown(code) => return write!(f, "unknown result code {code}"),
        })
    }
}

impl std::error::Error for HostError {}

/// What a request hook answered, as the gateway reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookResult {
    /// Go on with the next plugin.
    Continue,
    /// Wait for an event.
    Pending,
    /// The answer given to `respond` is the answer.
    Respond,
    /// Keep the window of the body and call again when there is more.
    Buffer,
    /// The hook failed and says so.
    Failed(HostError),
    /// A value this build does not know: the exchange is refused whatever `on_error` says.
    Unknown(i32),
}

impl HookResult {
    /// Reads what a hook returned.
    #[must_use]
    pub fn from_code(code: i32) -> Self {
        match code {
            code::SG_CONTINUE => Self::Continue,
            code::SG_PENDING => Self::Pending,
            code::SG_RESPOND => Self::Respond,
            code::SG_BUFFER => Self::Buffer,
            code if code > 0 => Self::Unknown(code),
            code => match HostError::from_code(code) {
                HostError::Unknown(code) => Self::Unknown(code),
                error => Self::Failed(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HookResult, HostError};

    #[test]
    fn every_code_survives_the_round_trip() {
        for code in (-20..0).chain(1..20) {
            assert_eq!(HostError::from_code(code).code(), code);
            assert_eq!(
                HostError::check(code),
                Err(HostError::from_code(code)),
                "code {code}"
            );
        }
        assert_eq!(HostError::check(0), Ok(()));
    }

    #[test]
    fn unknown_results_stay_unknown() {
        let table = [
            (0, HookResult::Continue),
            (2, HookResult::Respond),
            (1, HookResult::Pending),
            (3, HookResult::Buffer),
            (4, HookResult::Unknown(4)),
            (77, HookResult::Unknown(77)),
            (-2, HookResult::Failed(HostError::Panic)),
            (-77, HookResult::Unknown(-77)),
        ];
        for (code, expected) in table {
            assert_eq!(HookResult::from_code(code), expected, "code {code}");
        }
    }
}
