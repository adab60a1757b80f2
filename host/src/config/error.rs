//! What is wrong with a configuration: the place, what was found, what was expected and what to do.

use std::fmt;

use serde::Serialize;
use serde::ser::SerializeStruct;

use super::ready::Place;

/// One thing that is wrong with a configuration.
///
/// Its text is one line, the same in the log, in the admin API and on the command line. It never holds a value that
/// came out of `${env:...}` or `${file:...}`; it shows what the file says instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// Where.
    pub place: Place,
    /// What is wrong, as the beginning of a sentence.
    pub problem: Box<str>,
    /// What stands there.
    pub found: Option<Box<str>>,
    /// What should stand there.
    pub expected: Option<Box<str>>,
    /// What to do.
    pub advice: Option<Box<str>>,
}

impl ConfigError {
    /// An error that only says what is wrong.
    #[must_use]
    pub fn new(place: Place, problem: impl Into<String>) -> Self {
        Self {
            place,
            problem: problem.into().into(),
            found: None,
            expected: None,
            advice: None,
        }
    }

    /// Adds what stands there.
    #[must_use]
    pub fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into().into());
        self
    }

    /// Adds what should stand there.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into().into());
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into().into());
        self
    }

    /// Adds what stands there, if anything does.
    pub(super) fn found_if(mut self, found: Option<String>) -> Self {
        self.found = found.map(Into::into);
        self
    }

    /// Adds what to do, if there is anything to say.
    pub(super) fn advice_if(mut self, advice: Option<String>) -> Self {
        self.advice = advice.map(Into::into);
        self
    }

    /// The sentence without the place.
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut sentence = self.problem.to_string();
        match (&self.found, &self.expected) {
            (Some(found), Some(expected)) => {
                sentence.push_str(&format!(": found {found}, expected {expected}"));
            }
            (Some(found), None) => sentence.push_str(&format!(": found {found}")),
            (None, Some(expected)) => sentence.push_str(&format!(": expected {expected}")),
            (None, None) => {}
        }
        if let Some(advice) = &self.advice {
            sentence.push_str("; ");
            sentence.push_str(advice);
        }
        one_line(&sentence)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place {
            file,
            line,
            column,
            key,
        } = &self.place;
        write!(f, "{file}:{line}:{column}: ")?;
        if !key.is_empty() {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.sentence())
    }
}

impl Serialize for ConfigError {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("ConfigError", 9)?;
        out.serialize_field("file", &*self.place.file)?;
        out.serialize_field("line", &self.place.line)?;
        out.serialize_field("column", &self.place.column)?;
        out.serialize_field("key", &self.place.key)?;
        out.serialize_field("problem", &self.problem)?;
        out.serialize_field("found", &self.found)?;
        out.serialize_field("expected", &self.expected)?;
        out.serialize_field("advice", &self.advice)?;
        out.serialize_field("message", &self.sentence())?;
        out.end()
    }
}

/// The problem of a value of the right kind that cannot be used.
pub(super) const NOT_FITTING: &str = "this value does not fit";

/// Sorts by place, so that a reader walks the file once.
pub(super) fn sort(errors: &mut [ConfigError]) {
    errors.sort_by(|a, b| {
        let at = |e: &ConfigError| (e.place.line, e.place.column);
        at(a).cmp(&at(b)).then_with(|| a.problem.cmp(&b.problem))
    });
}

/// A text from outside in quotes, shortened, without control characters.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut shown: String = text.chars().take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push_str("...");
    }
    format!("\"{}\"", one_line(&shown))
}

/// `, did you mean ...` for a word that is close to a known one.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 64;
    if word.len() > LONGEST {
        return None;
    }
    known
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(word.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Names joined for a sentence; long lists are cut.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 30;
    let mut names = names.into_iter();
    let shown: Vec<&str> = names.by_ref().take(MOST).collect();
    let mut text = shown.join(", ");
    let more = names.count();
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// Control characters would let a file write its own lines into a log.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
