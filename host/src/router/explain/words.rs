//! A verdict in words.

use super::{Considered, Explanation, Row, Verdict};
use crate::router::order::further;
use crate::router::pattern::PathKind;
use crate::router::table::{Request, RouteRule};

impl Explanation {
    /// Why a candidate of these rules lost, or that it won.
    #[must_use]
    pub fn why(
        &self,
        considered: &Considered,
        rules: &[RouteRule],
        request: &Request<'_>,
    ) -> String {
        let rule = rules.get(considered.route);
        match &considered.verdict {
            Verdict::Won { .. } => "it fits, and comes before all others that fit".to_owned(),
            Verdict::Path => "the path does not fit".to_owned(),
            Verdict::Missed { method, conditions } => {
                let methods = rule.map_or(&[][..], |rule| &rule.methods);
                let admitted: Vec<&str> = methods.iter().map(http::Method::as_str).collect();
                let method = method.then(|| {
                    let admitted = admitted.join(", ");
                    format!("the method is {}, it admits {admitted}", request.method)
                });
                let all: Vec<String> = method.into_iter().chain(conditions.clone()).collect();
                all.join("; ")
            }
            Verdict::Later { row } => {
                let words = self.later(considered, *row, rules);
                words.unwrap_or_else(|| "it fits too and comes later".to_owned())
            }
        }
    }

    fn later(&self, considered: &Considered, row: Row, rules: &[RouteRule]) -> Option<String> {
        let winner = self.candidates.get(self.chosen?)?;
        let (best, rule) = (rules.get(winner.route)?, rules.get(considered.route)?);
        let words = if row == Row::Host {
            let host = |rule: &RouteRule, index: Option<usize>| {
                let named = index.and_then(|index| rule.hosts.get(index));
                named.map_or_else(|| "any host".to_owned(), ToString::to_string)
            };
            let (one, two) = (host(best, winner.host), host(rule, considered.host));
            format!("routes for {one} come before those for {two}")
        } else {
            row.words((best, winner.path), (rule, considered.path))?
        };
        Some(format!(
            "it fits too and comes after {}: {words}",
            best.name
        ))
    }
}

/// A route and the index of one of its paths.
type Chosen<'a> = (&'a RouteRule, usize);

impl Row {
    /// Why one candidate comes before another.
    fn words(self, (best, path): Chosen<'_>, (other, other_path): Chosen<'_>) -> Option<String> {
        let (one, two) = (best.paths.get(path)?, other.paths.get(other_path)?);
        Some(match self {
            Self::Priority => format!(
                "a higher priority comes first ({} before {})",
                best.priority, other.priority
            ),
            Self::Kind => format!("{} comes before {}", kind(&one.kind), kind(&two.kind)),
            Self::RegexPriority => format!(
                "a higher regex_priority comes first ({} before {})",
                best.regex_priority, other.regex_priority
            ),
            Self::RegexLength => "a longer regular expression comes first".to_owned(),
            Self::Literals => format!(
                "more literal segments from the left come first, then the longer path ({one} before {two})"
            ),
            Self::Slash => format!("a final slash comes first ({one} before {two})"),
            Self::Conditions => format!(
                "more further conditions come first ({} before {})",
                further(best),
                further(other)
            ),
            Self::Name => format!(
                "nothing else differs, so the name that sorts first comes first ({} before {})",
                best.name, other.name
            ),
            // Told by whoever knows the hosts.
            Self::Host => return None,
            Self::Path => format!("of one route's paths that fit, {one} comes first"),
        })
    }
}

fn kind(path: &PathKind) -> &'static str {
    match path {
        PathKind::Plain(plain) if plain.exact => "an exact path",
        PathKind::Regex(_) => "a regular expression",
        PathKind::Plain(_) => "a prefix",
    }
}
