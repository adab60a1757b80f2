//! The total order of choice, and the candidates it ranks.

use std::cmp::{Ordering, Reverse};

use http::Method;

use super::pattern::{PathPattern, Segment};
use super::table::RouteRule;

/// One path of one route: what a lookup chooses among. Its place in the table's list is its rank.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Index into the rules.
    pub(super) route: usize,
    pub(super) tail: Tail,
    pub(super) methods: Vec<Method>,
    /// Index of the segment and name of each parameter, from the left.
    pub(super) parameters: Box<[(usize, Box<str>)]>,
}

/// What may follow the segments of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// Anything: `/users`.
    Any,
    /// A slash and anything: `/users/`.
    Slash,
    /// Nothing: `=/users`.
    End,
    /// A slash and nothing: `=/users/`.
    SlashEnd,
}

impl Tail {
    pub(super) fn admits(self, rest: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Slash => !rest.is_empty(),
            Self::End => rest.is_empty(),
            Self::SlashEnd => rest == "/",
        }
    }

    pub(super) fn is_exact(self) -> bool {
        matches!(self, Self::End | Self::SlashEnd)
    }
}

impl Candidate {
    pub(super) fn new(route: usize, rule: &RouteRule, pattern: &PathPattern) -> Self {
        let parameters = pattern.segments.iter().enumerate();
        let parameters = parameters.filter_map(|(index, segment)| match segment {
            Segment::Literal(_) => None,
            Segment::Parameter(name) => Some((index, name.clone())),
        });
        Self {
            route,
            tail: match (pattern.exact, pattern.slash) {
                (false, false) => Tail::Any,
                (false, true) => Tail::Slash,
                (true, false) => Tail::End,
                (true, true) => Tail::SlashEnd,
            },
            methods: rule.methods.clone(),
            parameters: parameters.collect(),
        }
    }

    /// Whether a method gets through; `HEAD` does where `GET` does (RFC 9110, 9.3.2).
    pub(super) fn admits(&self, method: &Method) -> bool {
        self.methods.is_empty()
            || self.methods.contains(method)
            || (*method == Method::HEAD && self.methods.contains(&Method::GET))
    }

    /// Whether these, all with the same path, leave nothing over for this one. Such a candidate is never chosen, and
    /// without it a list is never longer than there are methods.
    pub(super) fn is_covered(&self, better: &[&Self]) -> bool {
        let same = || better.iter().filter(|other| other.tail == self.tail);
        same().any(|other| other.methods.is_empty())
            || (!self.methods.is_empty()
                && self
                    .methods
                    .iter()
                    .all(|method| same().any(|other| other.admits(method))))
    }
}

/// The order of choice within one host level; the winner comes first. The last two keys only tell apart several paths
/// of one route, or routes that share a name, which a checked configuration does not have.
pub(super) fn compare(
    (left_index, left, left_path): (usize, &RouteRule, &PathPattern),
    (right_index, right, right_path): (usize, &RouteRule, &PathPattern),
) -> Ordering {
    let key = |rule: &RouteRule, path: &PathPattern| (Reverse(rule.priority), Reverse(path.exact));
    let conditions = |rule: &RouteRule| Reverse(usize::from(!rule.methods.is_empty()));
    key(left, left_path)
        .cmp(&key(right, right_path))
        .then_with(|| specificity(right_path).cmp(specificity(left_path)))
        .then_with(|| right_path.slash.cmp(&left_path.slash))
        .then_with(|| conditions(left).cmp(&conditions(right)))
        .then_with(|| left.name.cmp(&right.name))
        .then_with(|| left_index.cmp(&right_index))
        .then_with(|| left_path.to_string().cmp(&right_path.to_string()))
}

/// A literal segment beats a parameter, and that beats no segment: compared from the left, this is "more literal
/// segments, then the longer path" in one go, for where a path ends it has no literals left to win with.
fn specificity(path: &PathPattern) -> impl Iterator<Item = u8> + '_ {
    path.segments.iter().map(|segment| match segment {
        Segment::Literal(_) => 2,
        Segment::Parameter(_) => 1,
    })
}
