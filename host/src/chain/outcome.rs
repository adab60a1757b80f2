//! What a phase may come to.

use swapgate_abi as abi;

use crate::context::Phase;
use crate::respond::plugin::PluginFault;

/// What a phase came to.
#[derive(Debug)]
pub enum Outcome {
    /// Go on.
    Continue,
    /// A plugin made the answer; it lies in the context.
    Answer,
    /// The link at this place of the phase waits for an event.
    Pending(usize),
    /// The hook of a body wants to see more of it.
    Buffer,
    /// A plugin failed and its use says `open`: the others go on without it.
    Out,
    /// A plugin failed and its use says `closed`.
    Fail(PluginFault),
}

/// What one hook answered, sorted by what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Continue,
    Respond,
    Pending,
    Buffer,
    /// An error the contract knows: the use's `on_error` decides.
    Error,
    /// A panic: the instance gets only `request_end` from here on.
    Panic,
    /// A value nobody knows: always closed.
    Unknown,
}

impl Verdict {
    pub(super) fn of(code: i32, phase: Phase, may: May) -> Self {
        match code {
            abi::SG_CONTINUE => Self::Continue,
            abi::SG_RESPOND
                if matches!(phase, Phase::Rewrite | Phase::Access | Phase::RequestBody) =>
            {
                Self::Respond
            }
            abi::SG_PENDING if may.wait => Self::Pending,
            abi::SG_BUFFER if may.buffer => Self::Buffer,
            abi::SG_E_PANIC => Self::Panic,
            abi::SG_E_CONFLICT..=abi::SG_E_FAILED => Self::Error,
            _ => Self::Unknown,
        }
    }
}

/// What a hook may answer besides.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct May {
    /// `SG_PENDING`.
    pub(super) wait: bool,
    /// `SG_BUFFER`.
    pub(super) buffer: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_value_is_never_guessed() {
        for code in [1, 3, 77, -15, i32::MIN, i32::MAX] {
            assert_eq!(plain(code, Phase::Access), Verdict::Unknown, "{code}");
        }
        assert_eq!(plain(abi::SG_RESPOND, Phase::Access), Verdict::Respond);
        assert_eq!(
            plain(abi::SG_RESPOND, Phase::HeaderFilter),
            Verdict::Unknown
        );
        assert_eq!(plain(abi::SG_E_PANIC, Phase::Log), Verdict::Panic);
        assert_eq!(plain(abi::SG_E_FORBIDDEN, Phase::Log), Verdict::Error);
    }

    #[test]
    fn waiting_and_buffering_are_known_where_they_are_possible() {
        let all = May {
            wait: true,
            buffer: true,
        };
        let phase = Phase::BodyFilter;
        assert_eq!(Verdict::of(abi::SG_PENDING, phase, all), Verdict::Pending);
        assert_eq!(Verdict::of(abi::SG_BUFFER, phase, all), Verdict::Buffer);
        assert_eq!(plain(abi::SG_PENDING, phase), Verdict::Unknown);
        assert_eq!(plain(abi::SG_BUFFER, phase), Verdict::Unknown);
    }

    fn plain(code: i32, phase: Phase) -> Verdict {
        Verdict::of(code, phase, May::default())
    }
}
