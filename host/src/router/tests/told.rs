//! What an explanation says.

use std::sync::Arc;

use super::{Asked, rule};
use crate::router::explain::explain;
use crate::router::pattern::PathKind;
use crate::router::table::RouteRule;

/// `route path: why` for each candidate, in their order.
fn told(table: &[&str], line: &str) -> Vec<String> {
    let rules: Vec<RouteRule> = table.iter().map(|line| rule(line)).collect();
    let asked = Asked::new(line);
    let explanation = explain(&rules, &asked.request());
    let line = |one: &crate::router::explain::Considered| {
        let rule = &rules[one.route];
        let why = explanation.why(one, &rules, &asked.request());
        format!("{} {}: {why}", rule.name, rule.paths[one.path])
    };
    explanation.candidates.iter().map(line).collect()
}

#[track_caller]
fn check(table: &[&str], line: &str, expected: &[&str]) {
    assert_eq!(told(table, line), expected, "{line}");
}

#[test]
fn every_candidate_is_told_of() {
    let table = [
        "b - GET - /x =/x/y",
        "a h.org POST - /x h:v=1",
        "wild *.org - 3 /x",
        "regex - - - ~/x/.",
        "other other.org - 9 /",
        "zz - - - /z/a",
    ];
    let won = "it fits, and comes before all others that fit";
    check(
        &table,
        "GET h.org /x/y",
        &[
            "a /x: the method is GET, it admits POST; the header v is not there",
            &format!("wild /x: {won}"),
            "b =/x/y: it fits too and comes after wild: routes for *.org come before those for any host",
            "regex ~/x/.: it fits too and comes after wild: routes for *.org come before those for any host",
            "zz /z/a: the path does not fit",
            "b /x: it fits too and comes after wild: routes for *.org come before those for any host",
        ],
    );
    check(
        &table,
        "HEAD x /x/y",
        &[
            &format!("b =/x/y: {won}"),
            "regex ~/x/.: it fits too and comes after b: an exact path comes before a regular expression",
            "zz /z/a: the path does not fit",
            "b /x: it fits too and comes after b: an exact path comes before a prefix",
        ],
    );
}

#[test]
fn every_row_has_its_words() {
    for (winner, loser, expected) in [
        (
            "b - - 1 /",
            "a - - - /",
            "a higher priority comes first (1 before 0)",
        ),
        (
            "b - - - ~/x rp:2",
            "a - - - ~/xy?",
            "a higher regex_priority comes first (2 before 0)",
        ),
        (
            "b - - - ~/xy?",
            "a - - - ~/x",
            "a longer regular expression comes first",
        ),
        (
            "b - - - /x",
            "a - - - /{p}",
            "more literal segments from the left come first, then the longer path (/x before /{p})",
        ),
        (
            "b - - - /x/",
            "a - - - /x",
            "a final slash comes first (/x/ before /x)",
        ),
        (
            "b - GET - /x q:q",
            "a - GET - /x",
            "more further conditions come first (2 before 1)",
        ),
        (
            "a - - - /x",
            "b - - - /x",
            "nothing else differs, so the name that sorts first comes first (a before b)",
        ),
    ] {
        let told = told(&[loser, winner], "GET h /x/y?q");
        assert!(told[1].ends_with(expected), "{told:?}");
    }
    let told = told(&["a - - - ~/x ~/."], "GET h /x");
    assert!(
        told[1].ends_with("of one route's paths that fit, ~/. comes first"),
        "{told:?}"
    );
}

#[test]
fn who_asks_beside_the_workers_shares_no_expression() {
    let rule = rule("a - - - ~/x(?<id>[0-9]) /y");
    let other = rule.unshared();
    assert_eq!(other.paths, rule.paths);
    let engine = |rule: &RouteRule| match &rule.paths[0].kind {
        PathKind::Regex(regex) => Arc::clone(regex),
        PathKind::Plain(_) => panic!("it is a regular expression"),
    };
    assert!(!Arc::ptr_eq(&engine(&rule), &engine(&other)));
}
