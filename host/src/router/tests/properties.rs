//! Properties of the router over random tables and requests, against a matcher that tries every route.

use std::cmp::Reverse;
use std::sync::Arc;

use http::Method;
use proptest::prelude::*;

use super::answer;
use crate::router::pattern::{HostPattern, PathPattern};
use crate::router::table::{RouteRule, Table};

/// Tries every route. Written from the text of the order, not from the code of the table.
fn reference(rules: &[RouteRule], request: &str) -> String {
    let words: Vec<&str> = request.split_whitespace().collect();
    let (method, host, path) = (words[0], words[1], words[2]);
    let mut allow: Vec<&str> = Vec::new();
    let mut fitting = Vec::new();
    for rule in rules {
        for (pattern, level) in rule
            .paths
            .iter()
            .flat_map(|path| host_levels(rule, host).map(move |level| (path, level)))
        {
            let Some((params, rest)) = fit(&pattern.to_string(), path) else {
                continue;
            };
            let methods: Vec<&str> = rule.methods.iter().map(Method::as_str).collect();
            let get = methods.contains(&"GET");
            allow.extend(&methods);
            allow.extend(get.then_some("HEAD"));
            if methods.is_empty() || methods.contains(&method) || (method == "HEAD" && get) {
                let order = (
                    Reverse(level),
                    Reverse(rule.priority),
                    place(&pattern.to_string()),
                    methods.is_empty(),
                    rule.name.clone(),
                );
                fitting.push((order, format!("{}{params} +{rest}", rule.name)));
            }
        }
    }
    allow.sort_unstable();
    allow.dedup();
    match fitting.into_iter().min() {
        Some((_, answer)) => answer,
        None if allow.is_empty() => "404".to_owned(),
        None => format!("405 {}", allow.join(",")),
    }
}

/// How well each host of a rule fits: any 0, a wildcard its length, the host itself most.
fn host_levels(rule: &RouteRule, host: &str) -> impl Iterator<Item = usize> {
    let fits = |pattern: String| match pattern.strip_prefix('*') {
        Some(suffix) => {
            (host.ends_with(suffix) && host.len() > suffix.len()).then_some(suffix.len())
        }
        None => (host == pattern).then_some(usize::MAX),
    };
    let mut levels: Vec<usize> = rule
        .hosts
        .iter()
        .filter_map(|host| fits(host.to_string()))
        .collect();
    levels.extend(rule.hosts.is_empty().then_some(0));
    levels.into_iter()
}

/// Exact first; then where literals are; then length, where a final slash counts less than a segment.
fn place(pattern: &str) -> (bool, Reverse<Vec<bool>>, Reverse<usize>) {
    let text = pattern.trim_start_matches('=');
    let segments: Vec<&str> = text.split('/').skip(1).collect();
    let mut literals: Vec<bool> = segments
        .iter()
        .map(|segment| !segment.is_empty() && !segment.starts_with('{'))
        .collect();
    while literals.last() == Some(&false) {
        literals.pop();
    }
    let full = segments
        .iter()
        .filter(|segment| !segment.is_empty())
        .count();
    let length = 2 * full + usize::from(full > 0 && text.ends_with('/'));
    (
        !pattern.starts_with('='),
        Reverse(literals),
        Reverse(length),
    )
}

/// Parameters and rest, when the path fits.
fn fit<'p>(pattern: &str, path: &'p str) -> Option<(String, &'p str)> {
    let (text, exact) = pattern
        .strip_prefix('=')
        .map_or((pattern, false), |text| (text, true));
    let (segments, slash) = text
        .strip_suffix('/')
        .map_or((text, false), |segments| (segments, true));
    let mut params = String::new();
    let mut rest = path;
    for segment in segments.split('/').skip(1) {
        let inner = rest.strip_prefix('/')?;
        let (value, _) = inner.split_once('/').unwrap_or((inner, ""));
        match segment
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'))
        {
            Some(name) if !value.is_empty() => params.push_str(&format!(" {name}={value}")),
            None if value == segment => {}
            _ => return None,
        }
        rest = &inner[value.len()..];
    }
    let fits = match (exact, slash) {
        (false, false) => true,
        (false, true) => rest.starts_with('/'),
        (true, false) => rest.is_empty(),
        (true, true) => rest == "/",
    };
    fits.then_some((params, if exact { "" } else { rest }))
}

fn any_path(segment: &'static str) -> impl Strategy<Value = String> {
    (
        proptest::collection::vec(segment, 0..6),
        proptest::bool::weighted(0.2),
    )
        .prop_map(|(segments, slash)| {
            let mut text = String::new();
            for (index, segment) in segments.iter().enumerate() {
                // Names in a pattern must differ.
                text.push_str(&format!("/{}", segment.replace('N', &index.to_string())));
            }
            if slash || text.is_empty() {
                text.push('/');
            }
            text
        })
}

prop_compose! {
    fn any_rule()(
        name in "[a-z]{8}",
        hosts in proptest::sample::subsequence(vec!["a.b.org", "b.org", "*.b.org", "*.org", "*.a.b.org", "c"], 0..3),
        kinds in proptest::collection::vec((any_path("[ab]|\\{pN\\}"), proptest::bool::weighted(0.3)), 1..3),
        methods in proptest::sample::subsequence(vec!["GET", "POST", "HEAD"], 0..3),
        priority in prop_oneof![4 => Just(0), 1 => -1..2],
    ) -> RouteRule {
        RouteRule {
            name: Arc::from(name),
            hosts: hosts.into_iter().map(|host| HostPattern::parse(host).unwrap()).collect(),
            paths: kinds.iter().map(|(path, exact)| PathPattern::parse(&format!("{}{path}", if *exact { "=" } else { "" })).unwrap()).collect(),
            methods: methods.into_iter().map(|method| method.parse().unwrap()).collect(),
            priority,
        }
    }
}

fn any_request() -> impl Strategy<Value = String> {
    let host = proptest::sample::select(vec!["a.b.org", "b.org", "x.a.b.org", "c", "other"]);
    let method = proptest::sample::select(vec!["GET", "POST", "HEAD", "PUT"]);
    (method, host, any_path("[abc]|"))
        .prop_map(|(method, host, path)| format!("{method} {host} {path}"))
}

fn any_table(most: usize) -> impl Strategy<Value = Vec<RouteRule>> {
    proptest::collection::vec(any_rule(), 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn the_table_agrees_with_trying_every_route(
        rules in any_table(24),
        requests in proptest::collection::vec(any_request(), 8),
    ) {
        let table = Table::build(&rules);
        for request in requests {
            prop_assert_eq!(answer(&rules, &table, &request), reference(&rules, &request), "{}", request);
        }
    }

    #[test]
    fn a_new_route_takes_only_requests_it_fits(
        rules in any_table(16),
        added in any_rule(),
        request in any_request(),
    ) {
        let before = answer(&rules, &Table::build(&rules), &request);
        let alone = answer(std::slice::from_ref(&added), &Table::build(std::slice::from_ref(&added)), &request);
        let name = added.name.clone();
        let mut more = rules;
        more.insert(more.len() / 2, added);
        let after = answer(&more, &Table::build(&more), &request);
        if alone == "404" {
            prop_assert_eq!(after, before);
        } else if !after.starts_with(&*name) && !after.starts_with("405") {
            prop_assert_eq!(after, before);
        }
    }
}
