//! What a phase may come to.

use std::fmt;

use swapgate_abi as abi;

use super::Link;
use crate::context::Phase;

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

/// A plugin failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginFault {
    /// Id and version, as `name@version`.
    pub plugin: String,
    /// The hook that failed.
    pub phase: Phase,
    /// What it answered.
    pub code: i32,
    /// What it said, if it said anything.
    pub text: Option<String>,
    /// It was not called at all, because it failed too often.
    pub left_alone: bool,
}

impl PluginFault {
    /// Whether its instance is called no more in this exchange.
    #[must_use]
    pub fn puts_out(&self) -> bool {
        self.left_alone || self.code == abi::SG_E_PANIC
    }

    /// How a plugin is named in logs: id and version.
    #[must_use]
    pub fn name(link: &Link) -> String {
        let identity = link.instance.identity();
        format!("{}@{}", identity.id, identity.version)
    }
}

impl fmt::Display for PluginFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.left_alone {
            return write!(
                f,
                "plugin {} failed too often and is left alone for a while",
                self.plugin
            );
        }
        write!(
            f,
            "plugin {} failed in {}: {}",
            self.plugin,
            self.phase,
            code_name(self.code)
        )?;
        if let Some(text) = &self.text {
            write!(f, ": {text}")?;
        }
        Ok(())
    }
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

fn code_name(code: i32) -> String {
    let known = match code {
        abi::SG_E_FAILED => "it answered an error",
        abi::SG_E_PANIC => "it panicked",
        abi::SG_E_INVALID => "it answered SG_E_INVALID",
        abi::SG_E_NOT_FOUND => "it answered SG_E_NOT_FOUND",
        abi::SG_E_STALE => "it answered SG_E_STALE",
        abi::SG_E_WRONG_THREAD => "it answered SG_E_WRONG_THREAD",
        abi::SG_E_WRONG_PHASE => "it answered SG_E_WRONG_PHASE",
        abi::SG_E_TOO_LARGE => "it answered SG_E_TOO_LARGE",
        abi::SG_E_UNAVAILABLE => "it answered SG_E_UNAVAILABLE",
        abi::SG_E_VERSION => "it answered SG_E_VERSION",
        abi::SG_E_FORBIDDEN => "it answered SG_E_FORBIDDEN",
        abi::SG_E_CANCELLED => "it answered SG_E_CANCELLED",
        abi::SG_E_TIMEOUT => "it answered SG_E_TIMEOUT",
        abi::SG_E_CONFLICT => "it answered SG_E_CONFLICT",
        abi::SG_RESPOND => "it answered SG_RESPOND without having made an answer in this phase",
        abi::SG_PENDING => "it answered SG_PENDING, where nothing can be waited for",
        abi::SG_BUFFER => "it answered SG_BUFFER, where nothing can be kept",
        other => return format!("it answered {other}, which this gateway does not know"),
    };
    known.to_owned()
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
