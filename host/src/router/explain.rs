//! Why a request takes the route it takes: the same decision as [`super::table::Table::find`], made slowly and told.
//!
//! It looks at every route and shares with the table what a pattern fits and which of two candidates comes first; how
//! the table finds its candidates plays no part. The tests hold the two against each other.

mod words;

use http::Method;
use regex_automata::util::primitives::NonMaxUsize;

use super::level::advance;
pub use super::order::Row;
use super::order::{Entry, compare, decide};
use super::pattern::{HostKind, HostPattern, PathKind, PathPattern, Plain, Segment};
use super::table::{Request, RouteRule};

/// What became of a request, and of every candidate on the way.
#[derive(Debug)]
pub struct Explanation {
    /// Every path of every route whose hosts fit, in the order in which they are asked.
    pub candidates: Vec<Considered>,
    /// Index of the chosen candidate.
    pub chosen: Option<usize>,
    /// Where none is chosen: the methods that would have been admitted, sorted; empty where not only the method differs.
    pub allow: Vec<Method>,
    /// Indices of the routes that name other hosts.
    pub other_hosts: Vec<usize>,
}

/// One path of one route.
#[derive(Debug)]
pub struct Considered {
    /// Index into the rules.
    pub route: usize,
    /// Index into its paths.
    pub path: usize,
    /// Index into its hosts: the one that fits; none where it names none.
    pub host: Option<usize>,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a candidate.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It takes the request.
    Won {
        /// Names and values of its parameters.
        params: Vec<(String, String)>,
        /// Bytes of the path that the pattern took.
        prefix_len: usize,
    },
    /// Its path does not fit.
    Path,
    /// Its path fits, and something else does not: each in words.
    Missed {
        /// Whether the method does not fit.
        method: bool,
        /// Conditions that do not hold.
        conditions: Vec<String>,
    },
    /// Everything fits, and another one comes first.
    Later {
        /// What decides.
        row: Row,
    },
}

/// Decides about a request, and tells why.
#[must_use]
pub fn explain(rules: &[RouteRule], request: &Request<'_>) -> Explanation {
    let mut entries: Vec<(usize, Option<usize>, usize, Entry<'_>)> = Vec::new();
    let mut other_hosts = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let Some((level, host)) = host_level(rule, request.host) else {
            other_hosts.push(index);
            continue;
        };
        let paths = rule.paths.iter().enumerate();
        entries.extend(paths.map(|(path, pattern)| (level, host, path, (index, rule, pattern))));
    }
    entries.sort_by(|left, right| right.0.cmp(&left.0).then_with(|| compare(left.3, right.3)));
    let mut explanation = Explanation {
        candidates: Vec::new(),
        chosen: None,
        allow: Vec::new(),
        other_hosts,
    };
    let mut winner = None;
    for (at, &(level, host, path, entry)) in entries.iter().enumerate() {
        let mut verdict = verdict(entry, request, &mut explanation.allow);
        if matches!(verdict, Verdict::Won { .. }) {
            match winner {
                None => {
                    winner = Some((level, entry));
                    explanation.chosen = Some(at);
                }
                Some((best, _)) if best > level => verdict = Verdict::Later { row: Row::Host },
                Some((_, best)) => {
                    let row = decide(best, entry).1;
                    verdict = Verdict::Later { row };
                }
            }
        }
        explanation.candidates.push(Considered {
            route: entry.0,
            path,
            host,
            verdict,
        });
    }
    settle_allow(&mut explanation);
    explanation
}

/// Sorts what would be allowed, which matters only where no route was chosen.
fn settle_allow(explanation: &mut Explanation) {
    let allow = &mut explanation.allow;
    if explanation.chosen.is_some() {
        allow.clear();
    }
    if allow.contains(&Method::GET) {
        allow.push(Method::HEAD);
    }
    allow.sort_by(|left, right| left.as_str().cmp(right.as_str()));
    allow.dedup();
}

/// What a candidate comes to by itself; notes the methods of one that differs in the method alone.
fn verdict(
    (_, rule, pattern): Entry<'_>,
    request: &Request<'_>,
    allow: &mut Vec<Method>,
) -> Verdict {
    let Some((params, prefix_len)) = fit(pattern, request.path) else {
        return Verdict::Path;
    };
    let get = *request.method == Method::HEAD && rule.methods.contains(&Method::GET);
    let method = !(rule.methods.is_empty() || rule.methods.contains(request.method) || get);
    let conditions = rule.conditions.missed(request);
    if method && conditions.is_empty() {
        allow.extend(rule.methods.iter().cloned());
    }
    if method || !conditions.is_empty() {
        return Verdict::Missed { method, conditions };
    }
    Verdict::Won { params, prefix_len }
}

/// How well the best host of a route fits, and which: any 0, a wildcard its length, the host itself most.
fn host_level(rule: &RouteRule, host: &str) -> Option<(usize, Option<usize>)> {
    if rule.hosts.is_empty() {
        return Some((0, None));
    }
    let hosts = rule.hosts.iter().enumerate();
    let fitting =
        hosts.filter_map(|(index, pattern)| Some((level_of(pattern, host)?, Some(index))));
    fitting.max_by_key(|(level, _)| *level)
}

fn level_of(pattern: &HostPattern, host: &str) -> Option<usize> {
    let host = host.strip_suffix('.').unwrap_or(host);
    match &pattern.kind {
        HostKind::Exact(name) => (**name == *host).then_some(usize::MAX),
        HostKind::V6(address) => {
            let inside = host.strip_prefix('[')?.strip_suffix(']')?;
            (inside.parse() == Ok(*address)).then_some(usize::MAX)
        }
        HostKind::Wildcard(name) => {
            let before = host.strip_suffix(&**name)?.strip_suffix('.')?;
            (!before.is_empty() && !host.starts_with('[')).then_some(name.len())
        }
    }
}

/// Parameters, and how much of the path was taken.
fn fit(pattern: &PathPattern, path: &str) -> Option<(Vec<(String, String)>, usize)> {
    let regex = match &pattern.kind {
        PathKind::Plain(plain) => return fit_plain(plain, path),
        PathKind::Regex(regex) => regex,
    };
    let slots = regex.slots(path);
    let offset = |at: usize| slots.get(at).copied().flatten().map(NonMaxUsize::get);
    let end = offset(1)?;
    let group = |(group, name): &(usize, Box<str>)| {
        let value = path.get(offset(2 * group)?..offset(2 * group + 1)?)?;
        Some((name.to_string(), value.to_owned()))
    };
    Some((regex.names().iter().filter_map(group).collect(), end))
}

fn fit_plain(plain: &Plain, path: &str) -> Option<(Vec<(String, String)>, usize)> {
    let mut params = Vec::new();
    let mut end = 0;
    for segment in &plain.segments {
        let start = end + 1;
        end = advance(path, end, 1)?;
        let value = path.get(start..end)?;
        match segment {
            Segment::Literal(text) if **text != *value => return None,
            Segment::Literal(_) => {}
            Segment::Parameter(name) => params.push((name.to_string(), value.to_owned())),
        }
    }
    let rest = path.get(end..)?;
    let fits = match (plain.exact, plain.slash) {
        (false, slash) => !slash || !rest.is_empty(),
        (true, false) => rest.is_empty(),
        (true, true) => rest == "/",
    };
    fits.then_some((params, if plain.exact { path.len() } else { end }))
}
