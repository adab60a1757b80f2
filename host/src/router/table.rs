//! The routing table: built from all routes at once, asked by every request.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::ops::Range;
use std::sync::Arc;

use http::Method;
use smallvec::SmallVec;

use super::level::{Level, advance};
use super::order::{Candidate, compare};
use super::pattern::{HostKind, HostPattern, PathPattern};

/// What the router needs to know of a route.
#[derive(Debug, Clone)]
pub struct RouteRule {
    /// Its name; unique. The last tie.
    pub name: Arc<str>,
    /// Hosts it serves; empty: any.
    pub hosts: Vec<HostPattern>,
    /// Paths it serves; never empty (any path is the prefix `/`).
    pub paths: Vec<PathPattern>,
    /// Methods it serves; empty: any.
    pub methods: Vec<Method>,
    /// Higher wins over everything else within a host level.
    pub priority: i32,
}

/// The routing table. Immutable; a new configuration builds a new one.
#[derive(Debug)]
pub struct Table {
    /// By rank: the better one comes first.
    candidates: Vec<Candidate>,
    names: HashMap<Box<str>, Level>,
    addresses: HashMap<Ipv6Addr, Level>,
    /// By what follows `*.`.
    wildcards: HashMap<Box<str>, Level>,
    /// Bytes of the longest key of `wildcards`: a host with thousands of labels is not looked up label by label.
    longest_wildcard: usize,
    any: Level,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// A route takes it.
    Found(Match),
    /// Routes fit in everything but the method.
    MethodNotAllowed {
        /// What they would have admitted, sorted, for `Allow`; with `HEAD` where there is `GET`.
        allow: SmallVec<[Method; 8]>,
    },
    /// No route fits host and path.
    NotFound,
}

/// The route that takes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// Index into the rules the table was built from.
    pub route: usize,
    /// Bytes of the path that the segments of the pattern took, for `strip_path`: what follows is empty or begins with
    /// a slash. The whole path where the pattern is exact.
    pub prefix_len: usize,
}

/// Where in the path the parameters of the chosen route are. Belongs to the path and the table it was filled from; made
/// to be used again, since [`Table::find`] empties it first.
#[derive(Debug, Clone, Default)]
pub struct Params {
    /// Rank of the chosen candidate, which knows the names.
    candidate: usize,
    ranges: SmallVec<[Range<usize>; 4]>,
}

impl Table {
    /// Builds the table for all routes of a configuration; [`Match::route`] is an index into `rules`.
    #[must_use]
    pub fn build(rules: &[RouteRule]) -> Self {
        let mut entries: Vec<(usize, &RouteRule, &PathPattern)> = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            entries.extend(rule.paths.iter().map(|path| (index, rule, path)));
        }
        entries.sort_by(|&left, &right| compare(left, right));
        let mut table = Self {
            candidates: entries
                .iter()
                .map(|&(index, rule, path)| Candidate::new(index, rule, path))
                .collect(),
            names: HashMap::new(),
            addresses: HashMap::new(),
            wildcards: HashMap::new(),
            longest_wildcard: 0,
            any: Level::default(),
        };
        for (rank, (_, rule, path)) in entries.into_iter().enumerate() {
            if rule.hosts.is_empty() {
                table.any.insert(path, rank, &table.candidates);
            }
            for host in &rule.hosts {
                let level = match &host.kind {
                    HostKind::Exact(name) => table.names.entry(name.clone()).or_default(),
                    HostKind::V6(address) => table.addresses.entry(*address).or_default(),
                    HostKind::Wildcard(name) => {
                        table.longest_wildcard = table.longest_wildcard.max(name.len());
                        table.wildcards.entry(name.clone()).or_default()
                    }
                };
                level.insert(path, rank, &table.candidates);
            }
        }
        table
    }

    /// Finds the route of a request: `host` in lower case and without port (a trailing dot does not matter, IPv6
    /// addresses in brackets), `path` in its normal form. `params` is emptied, and filled when a route is found.
    pub fn find(&self, host: &str, path: &str, method: &Method, params: &mut Params) -> Lookup {
        params.ranges.clear();
        let mut fits = false;
        for level in self.levels(host) {
            let mut best: Option<(usize, usize)> = None;
            level.walk(path, |list, end| {
                for &rank in list {
                    if best.is_some_and(|(other, _)| other <= rank) {
                        return;
                    }
                    let Some(candidate) = self.candidate_at(rank, path, end) else {
                        continue;
                    };
                    fits = true;
                    if candidate.admits(method) {
                        best = Some((rank, end));
                        return;
                    }
                }
            });
            if let Some((rank, end)) = best
                && let Some(candidate) = self.candidates.get(rank)
            {
                params.fill(rank, candidate, path);
                let prefix_len = if candidate.tail.is_exact() {
                    path.len()
                } else {
                    end
                };
                return Lookup::Found(Match {
                    route: candidate.route,
                    prefix_len,
                });
            }
        }
        if fits {
            Lookup::MethodNotAllowed {
                allow: self.allowed(host, path),
            }
        } else {
            Lookup::NotFound
        }
    }

    /// All methods that would have been admitted. A second walk, because it is rarely asked.
    fn allowed(&self, host: &str, path: &str) -> SmallVec<[Method; 8]> {
        let mut allow = SmallVec::new();
        for level in self.levels(host) {
            level.walk(path, |list, end| {
                let fitting = list
                    .iter()
                    .filter_map(|&rank| self.candidate_at(rank, path, end));
                allow.extend(fitting.flat_map(|candidate| candidate.methods.iter().cloned()));
            });
        }
        if allow.contains(&Method::GET) {
            allow.push(Method::HEAD);
        }
        allow.sort_by(|left, right| left.as_str().cmp(right.as_str()));
        allow.dedup();
        allow
    }

    /// The candidate, if what follows its segments suits it.
    fn candidate_at(&self, rank: usize, path: &str, end: usize) -> Option<&Candidate> {
        let candidate = self.candidates.get(rank)?;
        candidate.tail.admits(path.get(end..)?).then_some(candidate)
    }

    /// The host levels to ask, in order.
    fn levels<'t>(&'t self, host: &str) -> impl Iterator<Item = &'t Level> {
        let host = host.strip_suffix('.').unwrap_or(host);
        let address = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let exact = match address {
            Some(text) => text
                .parse()
                .ok()
                .and_then(|address: Ipv6Addr| self.addresses.get(&address)),
            None => self.names.get(host),
        };
        let longest = self.longest_wildcard;
        let dots = host
            .bytes()
            .enumerate()
            .filter(move |_| longest > 0 && address.is_none());
        let wildcards = dots
            .filter(move |&(at, byte)| byte == b'.' && at > 0 && host.len() - at - 1 <= longest)
            .filter_map(move |(at, _)| self.wildcards.get(host.get(at + 1..)?));
        exact.into_iter().chain(wildcards).chain(Some(&self.any))
    }
}

impl Params {
    /// The value of a parameter: a piece of the path, in normal form, never empty.
    #[must_use]
    pub fn get<'p>(&self, table: &Table, path: &'p str, name: &str) -> Option<&'p str> {
        let names = &table.candidates.get(self.candidate)?.parameters;
        let index = names.iter().position(|(_, other)| **other == *name)?;
        path.get(self.ranges.get(index)?.clone())
    }

    /// Name and value of one parameter, counted from 0 and from the left.
    #[must_use]
    pub fn nth<'t, 'p>(
        &self,
        table: &'t Table,
        index: usize,
        path: &'p str,
    ) -> Option<(&'t str, &'p str)> {
        let (_, name) = table
            .candidates
            .get(self.candidate)?
            .parameters
            .get(index)?;
        Some((name, path.get(self.ranges.get(index)?.clone())?))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    fn fill(&mut self, rank: usize, candidate: &Candidate, path: &str) {
        self.candidate = rank;
        let mut end = 0;
        let mut passed = 0;
        for &(index, _) in &candidate.parameters {
            let start = advance(path, end, index - passed);
            let Some((start, after)) =
                start.and_then(|start| Some((start, advance(path, start, 1)?)))
            else {
                return;
            };
            self.ranges.push(start + 1..after);
            end = after;
            passed = index + 1;
        }
    }
}
