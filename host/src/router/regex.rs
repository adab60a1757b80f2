//! Regular expressions over paths: one of them here, many of them at once in [`together`].
//!
//! An expression is anchored at the start of the path, as in Kong and nginx' location order, and nowhere else: who wants
//! the end writes `$`. Paths are in their normal form and so ASCII; classes are those of ASCII, which keeps them small.

mod leading;
mod together;

use std::fmt;

use regex_automata::meta;
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, PatternID};
use regex_syntax::hir::Hir;
use smallvec::SmallVec;

pub(super) use together::Expressions;

use super::pattern::PatternError;

/// What one expression may take when it is compiled.
pub(super) const SIZE_LIMIT: usize = 1024 * 1024;
/// Where a group matched, as the engine writes it down.
pub(super) type Slots = SmallVec<[Option<NonMaxUsize>; 12]>;

/// One expression over paths. A clone shares what was compiled, and has a pool of caches of its own.
#[derive(Clone)]
pub(super) struct PathRegex {
    text: Box<str>,
    engine: meta::Regex,
    /// Segments that every path it fits begins with.
    leading: Box<[Box<str>]>,
    /// Number and name of the groups that have one.
    names: Box<[(usize, Box<str>)]>,
}

impl PathRegex {
    /// Compiles the text after `~`.
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        let hir = parse(text, over_paths())?;
        let looks = hir.properties().look_set();
        if looks.contains_word_unicode() {
            return Err(PatternError::Regex {
                text: text.to_owned(),
                at: 1,
                reason: "'(?u)' has no place here, paths are ASCII".to_owned(),
            });
        }
        let mut literal = Vec::new();
        leading::literal(&hir, &mut literal);
        if literal.first().is_some_and(|&first| first != b'/') {
            return Err(PatternError::RegexStart(text.to_owned()));
        }
        // Anchored, and captures are asked for: the one-pass engine or the backtracker answers, no reverse automaton is
        // ever needed.
        let config = meta::Config::new()
            .utf8_empty(false)
            .auto_prefilter(false)
            .hybrid(false)
            .dfa(false)
            .nfa_size_limit(Some(SIZE_LIMIT));
        let engine = compile(text, &hir, config)?;
        let names = engine.group_info().pattern_names(PatternID::ZERO);
        let names = names
            .enumerate()
            .filter_map(|(group, name)| Some((group, name?.into())));
        Ok(Self {
            text: text.into(),
            leading: leading::whole_segments(&literal),
            names: names.collect(),
            engine,
        })
    }

    /// The expression, without `~`.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn leading(&self) -> &[Box<str>] {
        &self.leading
    }

    /// Number and name of the groups that have one.
    pub(super) fn names(&self) -> &[(usize, Box<str>)] {
        &self.names
    }

    pub(super) fn fits(&self, path: &str) -> bool {
        self.engine.is_match(anchored(path))
    }

    /// Where the groups matched; slots 0 and 1 are the whole. Empty if it does not fit.
    pub(super) fn slots(&self, path: &str) -> Slots {
        let groups = if self.names.is_empty() {
            1
        } else {
            self.engine.group_info().group_len(PatternID::ZERO)
        };
        let mut slots = Slots::from_elem(None, 2 * groups);
        if self
            .engine
            .search_slots(&anchored(path), &mut slots)
            .is_none()
        {
            slots.clear();
        }
        slots
    }
}

impl fmt::Debug for PathRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "~{}", self.text)
    }
}

/// The text is all there is to an expression.
impl PartialEq for PathRegex {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PathRegex {}

/// Reads an expression.
pub(super) fn parse(text: &str, config: syntax::Config) -> Result<Hir, PatternError> {
    if text.is_empty() {
        return Err(PatternError::EmptyRegex);
    }
    syntax::parse_with(text, &config).map_err(|error| {
        let (at, reason) = match &error {
            regex_syntax::Error::Parse(error) => {
                (error.span().start.offset, error.kind().to_string())
            }
            regex_syntax::Error::Translate(error) => {
                (error.span().start.offset, error.kind().to_string())
            }
            other => (0, other.to_string()),
        };
        PatternError::Regex {
            text: text.to_owned(),
            at: text.get(..at).map_or(0, |before| before.chars().count()) + 1,
            reason,
        }
    })
}

/// Compiles what was read.
pub(super) fn compile(
    text: &str,
    hir: &Hir,
    config: meta::Config,
) -> Result<meta::Regex, PatternError> {
    let built = meta::Regex::builder().configure(config).build_from_hir(hir);
    built.map_err(|error| match error.size_limit() {
        Some(limit) => PatternError::RegexSize {
            text: text.to_owned(),
            limit,
        },
        None => PatternError::Regex {
            text: text.to_owned(),
            at: 1,
            reason: error.to_string(),
        },
    })
}

fn over_paths() -> syntax::Config {
    syntax::Config::new().unicode(false).utf8(false)
}

fn anchored(path: &str) -> Input<'_> {
    Input::new(path).anchored(Anchored::Yes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_error(text: &str, part: &str) {
        let error = PathRegex::parse(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
        assert!(!error.contains('\n'), "{text}: {error}");
    }

    #[test]
    fn what_is_wrong_is_said() {
        check_error("", "is empty");
        check_error("/a(", "broken at its character 3: unclosed group");
        check_error("users", "begin it with '/'");
        check_error("^users/", "begin it with '/'");
        check_error("/((x{100}){100}){100}", "more than 1048576 bytes");
        check_error(
            r"/\pL",
            "broken at its character 2: Unicode not allowed here",
        );
        check_error(r"/(?u:\b)x", "paths are ASCII");
        check_error("/(?<a>x)(?<a>y)", "duplicate capture group name");
    }
}
