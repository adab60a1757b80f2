//! The routing table: built from all routes at once, asked by every request.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use http::{HeaderMap, Method};
use smallvec::SmallVec;

use super::condition::Conditions;
use super::level::Level;
pub use super::level::Misfit;
use super::order::{Candidate, compare};
pub use super::params::Params;
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
    /// What else it asks for.
    pub conditions: Conditions,
    /// Higher wins over everything else within a host level.
    pub priority: i32,
    /// Higher wins among regular expressions.
    pub regex_priority: i32,
}

impl RouteRule {
    /// The same rule for somebody who asks beside the workers. What the regular expressions compiled to is shared, their
    /// pools of caches are not: the first thread that asks one owns its pool's fastest cache for good, and that should
    /// be a worker.
    #[must_use]
    pub fn unshared(&self) -> Self {
        Self {
            paths: self.paths.iter().map(PathPattern::unshared).collect(),
            conditions: self.conditions.unshared(),
            ..self.clone()
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// In lower case and without port; a trailing dot does not matter, IPv6 addresses stand in brackets.
    pub host: &'a str,
    /// In its normal form.
    pub path: &'a str,
    /// The method.
    pub method: &'a Method,
    /// The headers, as plugins see them.
    pub headers: &'a HeaderMap,
    /// As it was sent, without `?`.
    pub query: &'a str,
    /// The client, as trusted proxies report it.
    pub client: IpAddr,
    /// The name it asked for in the TLS handshake, in lower case.
    pub sni: Option<&'a str>,
}

/// The routing table. Immutable; a new configuration builds a new one.
#[derive(Debug)]
pub struct Table {
    /// By rank: the better one comes first.
    pub(super) candidates: Vec<Candidate>,
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
    /// Routes fit in everything but the method, their further conditions included.
    MethodNotAllowed {
        /// What they would have admitted, sorted, for `Allow`; with `HEAD` where there is `GET`.
        allow: SmallVec<[Method; 8]>,
    },
    /// No route fits.
    NotFound,
}

/// The route that takes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// Index into the rules the table was built from.
    pub route: usize,
    /// Bytes of the path that the pattern took, for `strip_path`. What follows is empty or begins with a slash, except
    /// behind a regular expression, which may end anywhere. The whole path where the pattern is exact.
    pub prefix_len: usize,
}

impl Table {
    /// The table of no routes.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            candidates: Vec::new(),
            names: HashMap::new(),
            addresses: HashMap::new(),
            wildcards: HashMap::new(),
            longest_wildcard: 0,
            any: Level::default(),
        }
    }

    /// Builds the table for all routes of a configuration; [`Match::route`] is an index into `rules`.
    ///
    /// # Errors
    /// A path does not fit beside the others, which is a fault of this room.
    pub fn build(rules: &[RouteRule]) -> Result<Self, Misfit> {
        let mut entries: Vec<(usize, &RouteRule, &PathPattern)> = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            entries.extend(rule.paths.iter().map(|path| (index, rule, path)));
        }
        entries.sort_by(|&left, &right| compare(left, right));
        let mut table = Self::empty();
        table.candidates = candidates(rules, &entries);
        let ranked = table.candidates.iter().enumerate();
        for (candidate, (_, rule, path)) in ranked.zip(entries) {
            if rule.hosts.is_empty() {
                table.any.insert(path, candidate, &table.candidates)?;
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
                level.insert(path, candidate, &table.candidates)?;
            }
        }
        let levels = table.names.values_mut().chain(table.addresses.values_mut());
        let levels = levels.chain(table.wildcards.values_mut());
        levels.chain([&mut table.any]).for_each(Level::finish);
        Ok(table)
    }

    /// Finds the route of a request. `params` is emptied, and filled when a route is found.
    pub fn find(&self, request: &Request<'_>, params: &mut Params) -> Lookup {
        params.clear();
        let mut method_differs = false;
        for level in self.levels(request.host) {
            let Some((rank, end)) = self.best(level, request, &mut method_differs) else {
                continue;
            };
            if let Some(candidate) = self.candidates.get(rank) {
                let prefix_len = params.fill(rank, candidate, request.path, end);
                return Lookup::Found(Match {
                    route: candidate.route,
                    prefix_len,
                });
            }
        }
        if method_differs {
            Lookup::MethodNotAllowed {
                allow: self.allowed(request),
            }
        } else {
            Lookup::NotFound
        }
    }

    /// The best candidate of a level, and where its segments end. Notes whether one was passed over for its method alone.
    fn best(
        &self,
        level: &Level,
        request: &Request<'_>,
        method_differs: &mut bool,
    ) -> Option<(usize, usize)> {
        let mut best: Option<(usize, usize)> = None;
        level.walk(request.path, |list, end| {
            for &rank in list {
                if best.is_some_and(|(other, _)| other <= rank) {
                    return;
                }
                let Some(candidate) = self.candidate_at(rank, request.path, end) else {
                    continue;
                };
                let admitted = candidate.admits(request.method);
                if (admitted || !*method_differs) && candidate.suits(request) {
                    if admitted {
                        best = Some((rank, end));
                        return;
                    }
                    *method_differs = true;
                }
            }
        });
        best
    }

    /// All methods that would have been admitted. A second walk, because it is rarely asked.
    fn allowed(&self, request: &Request<'_>) -> SmallVec<[Method; 8]> {
        let mut allow = SmallVec::new();
        for level in self.levels(request.host) {
            level.walk(request.path, |list, end| {
                let fitting = list
                    .iter()
                    .filter_map(|&rank| self.candidate_at(rank, request.path, end))
                    .filter(|candidate| candidate.suits(request));
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

fn candidates(
    rules: &[RouteRule],
    entries: &[(usize, &RouteRule, &PathPattern)],
) -> Vec<Candidate> {
    let conditions = rules
        .iter()
        .map(|rule| (!rule.conditions.is_empty()).then(|| Arc::new(rule.conditions.clone())));
    let conditions: Vec<Option<Arc<Conditions>>> = conditions.collect();
    let candidate = |&(index, rule, path): &(usize, &RouteRule, &PathPattern)| {
        let shared = conditions.get(index).and_then(Option::as_ref);
        Candidate::new(index, rule, shared, path)
    };
    entries.iter().map(candidate).collect()
}
