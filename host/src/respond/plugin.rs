//! What a plugin did when it failed.

use std::fmt;

use swapgate_abi as abi;

use crate::context::Phase;

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
