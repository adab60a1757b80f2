//! The words and where they go.

use std::fmt::{Display, Write};

use swapgate_plugin::guest::call::Raw;
use swapgate_plugin::{HostError, Value};

/// The variable in which the trace grows.
const VARIABLE: &str = "conformance.trace";
/// Longer values are cut.
const MAX_VALUE: usize = 64;
const INFO: u32 = 3;

/// The words of one phase.
pub(crate) struct Trace {
    phase: &'static str,
    words: String,
}

impl Trace {
    pub(crate) fn new(phase: &'static str) -> Self {
        Self {
            phase,
            words: String::new(),
        }
    }

    /// The letter of the phase.
    pub(crate) fn phase(&self) -> &'static str {
        self.phase
    }

    /// A word with its code only.
    pub(crate) fn code<T>(&mut self, step: &str, answer: Result<T, HostError>) {
        let code = answer.map_or_else(HostError::code, |_| 0);
        self.word(step, code);
    }

    /// A word with its code and, on success, the value.
    pub(crate) fn value(&mut self, step: &str, answer: Result<Value<'_>, HostError>) {
        self.bytes(step, answer.as_ref().map(|value| &**value).map_err(|e| *e));
    }

    /// The same for bytes of its own.
    pub(crate) fn bytes(&mut self, step: &str, answer: Result<&[u8], HostError>) {
        match answer {
            Ok(value) => self.word(step, format_args!("0:{}", plain(value))),
            Err(error) => self.word(step, error.code()),
        }
    }

    /// The same for a number.
    pub(crate) fn number(&mut self, step: &str, answer: Result<u64, HostError>) {
        match answer {
            Ok(number) => self.word(step, format_args!("0:{number}")),
            Err(error) => self.word(step, error.code()),
        }
    }

    /// A word with anything behind it.
    pub(crate) fn word(&mut self, step: &str, answer: impl Display) {
        if !self.words.is_empty() {
            self.words.push(' ');
        }
        // Writing to a String cannot fail.
        let _ = write!(self.words, "{}.{step}={answer}", self.phase);
    }

    /// Appends the words to those of the phases before and answers all of them.
    pub(crate) fn store(self, raw: &mut Raw<'_>) -> Vec<u8> {
        let mut whole = raw
            .var_get(VARIABLE)
            .map_or(Vec::new(), |words| words.to_vec());
        if !whole.is_empty() {
            whole.push(b' ');
        }
        whole.extend_from_slice(self.words.as_bytes());
        // Should it not fit, the trace that is missing in the header says so.
        let _ = raw.var_set(VARIABLE, &whole);
        whole
    }

    /// Writes the words to the log.
    pub(crate) fn write(self, raw: &mut Raw<'_>) {
        // The gateway takes every line of UTF-8.
        let _ = raw.log(INFO, &format!("trace {}", self.words));
    }
}

/// A value as it may stand in a word.
fn plain(value: &[u8]) -> String {
    let bytes = value.iter().take(MAX_VALUE);
    bytes
        .map(|byte| {
            if byte.is_ascii_graphic() {
                char::from(*byte)
            } else {
                '?'
            }
        })
        .collect()
}
