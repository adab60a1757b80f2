//! The total order of choice, and the candidates it ranks.

use std::cmp::Ordering;
use std::sync::Arc;

use http::Method;

use super::condition::Conditions;
use super::pattern::{PathKind, PathPattern, Plain, Segment};
use super::regex::PathRegex;
use super::table::{Request, RouteRule};

/// One path of one route: what a lookup chooses among. Its place in the table's list is its rank.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Index into the rules.
    pub(super) route: usize,
    pub(super) tail: Tail,
    pub(super) methods: Vec<Method>,
    /// None where there are none, which is one glance for a lookup. Shared by the paths of a route.
    pub(super) conditions: Option<Arc<Conditions>>,
    /// What the path must fit, where that is not the table's own business.
    pub(super) regex: Option<Arc<PathRegex>>,
    /// Where each parameter is, and its name, from the left: the segment, or the group of a regular expression.
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
    fn of(pattern: &Plain) -> Self {
        match (pattern.exact, pattern.slash) {
            (false, false) => Self::Any,
            (false, true) => Self::Slash,
            (true, false) => Self::End,
            (true, true) => Self::SlashEnd,
        }
    }

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
    pub(super) fn new(
        route: usize,
        rule: &RouteRule,
        conditions: Option<&Arc<Conditions>>,
        pattern: &PathPattern,
    ) -> Self {
        let (tail, regex, parameters) = match &pattern.kind {
            PathKind::Plain(plain) => (Tail::of(plain), None, named(plain)),
            PathKind::Regex(regex) => (Tail::Any, Some(Arc::clone(regex)), regex.names().into()),
        };
        Self {
            route,
            tail,
            methods: rule.methods.clone(),
            conditions: conditions.cloned(),
            regex,
            parameters,
        }
    }

    /// Whether everything but host, path and method fits.
    pub(super) fn suits(&self, request: &Request<'_>) -> bool {
        self.conditions
            .as_ref()
            .is_none_or(|conditions| conditions.hold(request))
    }

    /// Whether a method gets through; `HEAD` does where `GET` does (RFC 9110, 9.3.2).
    pub(super) fn admits(&self, method: &Method) -> bool {
        self.methods.is_empty()
            || self.methods.contains(method)
            || (*method == Method::HEAD && self.methods.contains(&Method::GET))
    }

    /// Whether these, all with the same path, leave nothing over for this one. Such a candidate is never chosen, and what
    /// it admits the others admit as well; without it a list is never longer than there are methods and conditions. Only
    /// those count whose conditions hold wherever this one's do.
    pub(super) fn is_covered<'c>(&self, better: impl Iterator<Item = &'c Self> + Clone) -> bool {
        let wider = |other: &&Self| {
            other.tail == self.tail
                && (other.conditions.is_none() || other.conditions == self.conditions)
        };
        let same = better.filter(wider);
        same.clone().any(|other| other.methods.is_empty())
            || (!self.methods.is_empty()
                && self
                    .methods
                    .iter()
                    .all(|method| same.clone().any(|other| other.admits(method))))
    }
}

/// The parameters of a plain pattern: segment and name.
fn named(pattern: &Plain) -> Box<[(usize, Box<str>)]> {
    let segments = pattern.segments.iter().enumerate();
    let parameters = segments.filter_map(|(index, segment)| match segment {
        Segment::Literal(_) => None,
        Segment::Parameter(name) => Some((index, name.clone())),
    });
    parameters.collect()
}

/// A path of a route: the route's index, the route, the path.
pub(super) type Entry<'a> = (usize, &'a RouteRule, &'a PathPattern);

/// A row of the order of choice; what decides between two candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// The level of the host, which is no part of the order within it.
    Host,
    /// `priority`
    Priority,
    /// Exact paths, regular expressions, prefixes.
    Kind,
    /// `regex_priority`
    RegexPriority,
    /// The longer regular expression.
    RegexLength,
    /// More literal segments from the left.
    Literals,
    /// A final slash.
    Slash,
    /// The number of further conditions.
    Conditions,
    /// The name of the route.
    Name,
    /// Another path of the same route.
    Path,
}

/// The order of choice within one host level; the winner comes first.
pub(super) fn compare(left: Entry<'_>, right: Entry<'_>) -> Ordering {
    decide(left, right).0
}

/// The same, and the row that decides. The last row only tells apart several paths of one route, or routes that share a
/// name, which a checked configuration does not have.
pub(super) fn decide(left: Entry<'_>, right: Entry<'_>) -> (Ordering, Row) {
    let (left_index, left, left_path) = left;
    let (right_index, right, right_path) = right;
    let regexes = match (&left_path.kind, &right_path.kind) {
        (PathKind::Regex(one), PathKind::Regex(two)) => Some((one, two)),
        _ => None,
    };
    let plains = match (&left_path.kind, &right_path.kind) {
        (PathKind::Plain(one), PathKind::Plain(two)) => Some((one, two)),
        _ => None,
    };
    let rows: [(Row, &dyn Fn() -> Ordering); 9] = [
        (Row::Priority, &|| right.priority.cmp(&left.priority)),
        (Row::Kind, &|| {
            kind(&left_path.kind).cmp(&kind(&right_path.kind))
        }),
        (Row::RegexPriority, &|| {
            regexes.map_or(Ordering::Equal, |_| {
                right.regex_priority.cmp(&left.regex_priority)
            })
        }),
        (Row::RegexLength, &|| {
            regexes.map_or(Ordering::Equal, |(one, two)| {
                two.text().len().cmp(&one.text().len())
            })
        }),
        (Row::Literals, &|| {
            plains.map_or(Ordering::Equal, |(one, two)| {
                specificity(two).cmp(specificity(one))
            })
        }),
        (Row::Slash, &|| {
            plains.map_or(Ordering::Equal, |(one, two)| two.slash.cmp(&one.slash))
        }),
        (Row::Conditions, &|| further(right).cmp(&further(left))),
        (Row::Name, &|| left.name.cmp(&right.name)),
        (Row::Path, &|| {
            let index = left_index.cmp(&right_index);
            index.then_with(|| left_path.to_string().cmp(&right_path.to_string()))
        }),
    ];
    for (row, compare) in rows {
        let order = compare();
        if order.is_ne() {
            return (order, row);
        }
    }
    (Ordering::Equal, Row::Path)
}

/// How many further conditions a route has.
pub(super) fn further(rule: &RouteRule) -> usize {
    usize::from(!rule.methods.is_empty()) + rule.conditions.count()
}

/// Exact paths, then regular expressions, then prefixes.
fn kind(path: &PathKind) -> u8 {
    match path {
        PathKind::Plain(plain) if plain.exact => 0,
        PathKind::Regex(_) => 1,
        PathKind::Plain(_) => 2,
    }
}

/// A literal segment beats a parameter, and that beats no segment: compared from the left, this is "more literal
/// segments, then the longer path" in one go, for where a path ends it has no literals left to win with.
fn specificity(path: &Plain) -> impl Iterator<Item = u8> + '_ {
    path.segments.iter().map(|segment| match segment {
        Segment::Literal(_) => 2,
        Segment::Parameter(_) => 1,
    })
}
