//! Why a plugin file is not taken: every sentence in one place.
//!
//! A refusal reads the same in the log, in the admin API and on the command line: what is wrong, where, and what to
//! do. So no other room writes such a sentence; it names a [`Reason`], which has its text.

mod reason;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(super) use reason::KILLED;
pub use reason::Reason;

/// A file that was not taken, the step at which that became clear, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The step of the plugin's life that failed.
    pub step: Step,
    /// The file as the operator knows it, never the private copy.
    pub file: Arc<str>,
    /// What is wrong. Boxed, so that carrying it up costs the good case nothing.
    pub reason: Box<Reason>,
}

impl Refusal {
    /// A refusal of `file`.
    #[must_use]
    pub fn new(step: Step, file: impl Into<Arc<str>>, reason: Reason) -> Self {
        Self {
            step,
            file: file.into(),
            reason: Box::new(reason),
        }
    }

    /// See [`Reason::hiding`].
    #[must_use]
    pub fn hiding(mut self, hide: impl Fn(&str) -> String) -> Self {
        *self.reason = self.reason.hiding(hide);
        self
    }

    /// The whole sentence.
    #[must_use]
    pub fn text(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.reason)
    }
}

impl std::error::Error for Refusal {}

impl Serialize for Refusal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut shown = serializer.serialize_struct("Refusal", 3)?;
        shown.serialize_field("step", &self.step)?;
        shown.serialize_field("file", &*self.file)?;
        shown.serialize_field("text", &self.text())?;
        shown.end()
    }
}

/// Steps of a plugin's life that can fail, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The file is copied to the state folder.
    Stage,
    /// The copy is read; no code runs.
    Inspect,
    /// A throw-away child goes through the plugin's life.
    Preflight,
    /// The copy is loaded into this process.
    Load,
    /// An instance is made out of a configuration.
    Configure,
    /// The state of an instance is handed over to the one that takes its place.
    HandOver,
    /// An instance is told that it is about to serve.
    Start,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stage => "stage",
            Self::Inspect => "inspect",
            Self::Preflight => "preflight",
            Self::Load => "load",
            Self::Configure => "configure",
            Self::HandOver => "hand-over",
            Self::Start => "start",
        })
    }
}

/// Who else may write to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// Members of its group.
    Group,
    /// Everybody.
    World,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Group => "its group",
            Self::World => "everybody",
        })
    }
}
