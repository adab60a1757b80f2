//! Why a command could not do its work: one sentence for the person at the terminal.

use std::fmt;

/// What commands end with.
pub(crate) type Outcome<T> = Result<T, Failure>;

/// One sentence; the causes follow after colons.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// A failure without a deeper cause.
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Says what was being done when something went wrong.
pub(crate) trait Context<T> {
    /// Puts `what` in front of the cause.
    fn context(self, what: impl fmt::Display) -> Outcome<T>;
}

impl<T, E: fmt::Display> Context<T> for Result<T, E> {
    fn context(self, what: impl fmt::Display) -> Outcome<T> {
        self.map_err(|cause| Failure(format!("{what}: {cause}")))
    }
}
