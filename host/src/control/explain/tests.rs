//! What is told, and what is not.

use std::path::{Path, PathBuf};

use super::*;
use crate::config::{self, Environment, Source};

/// An environment with one secret, which would also be a regular expression.
struct Fake;

const SECRET: &str = "~hunter2.*";

impl Environment for Fake {
    fn variable(&self, _: &str) -> Result<String, String> {
        Ok(SECRET.to_owned())
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Err("no such file".to_owned())
    }

    fn cores(&self) -> usize {
        1
    }
}

fn config(more: &str) -> Config {
    let source = Source {
        file: "gate.yaml".into(),
        text: format!(
            "format: 1\nlisteners: [{{name: l, address: '127.0.0.1:0'}}]\nupstreams: [{{name: u, targets: [{{address: '127.0.0.1:1'}}]}}]\nservices: [{{name: s, upstream: u}}]\n{more}"
        ),
        base: PathBuf::from("/etc/gate"),
    };
    config::load(&source, &Fake).unwrap()
}

fn explained(view: &View, headers: &[(&str, &str)]) -> Document {
    let headers = headers.iter();
    let question = Question {
        method: "GET".to_owned(),
        url: "http://api.test/a".to_owned(),
        headers: headers
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        client: None,
    };
    view.answer(&question).unwrap()
}

fn runs() -> Got {
    Got::Runs {
        version: "1.0.0".to_owned(),
        priority: 0,
        phases: Vec::new(),
    }
}

#[test]
fn what_was_filled_in_is_not_told() {
    let config = config(
        "routes: [{name: r, service: s, headers: {x-origin-token: '${env:T}'}, query: {q: [v, '${env:T}']}, cookies: {c: '${env:T}'}}]",
    );
    let view = View::without_plugins(&config);
    let mut headers = vec![("x-origin-token", "hunter22"), ("cookie", "c=hunter22")];
    let document = explained(&view, &headers);
    assert_eq!(
        document.considered[0].why,
        "the header x-origin-token has another value, it wants a value that is not shown; the query parameter q is not there; the cookie c has another value, it wants a value that is not shown"
    );
    let json = serde_json::to_string(&document).unwrap();
    assert!(!json.contains("hunter2"), "{json}");
    headers.push(("x-origin-token", SECRET));
    let why = &explained(&view, &headers).considered[0].why;
    assert!(!why.contains("x-origin-token"), "{why}");
}

#[test]
fn a_missing_global_plugin_refuses_everything() {
    let config = config(
        "routes: [{name: r, service: s, plugins: [{name: p}, {name: q}]}]\nplugins: [{name: p}, {name: o}]",
    );
    let missing = |plugin: &str| Got::Missing(format!("{plugin} has no file"));
    let everything = "503 for every request, because a global plugin is not there";
    for (got, outcome, expected) in [
        // The route has its own use of the missing one.
        (
            [missing("p"), runs(), runs(), runs()],
            everything,
            &[("p", "global")][..],
        ),
        // It has not.
        (
            [runs(), missing("o"), runs(), missing("q")],
            everything,
            &[("o", "global"), ("q", "route r")],
        ),
        (
            [missing("p"), runs(), missing("p"), runs()],
            everything,
            &[("p", "global"), ("p", "route r")],
        ),
        (
            [runs(), runs(), missing("p"), runs()],
            "route r takes it, and answers 503: plugin p of route r is not there",
            &[("p", "route r")],
        ),
    ] {
        let document = explained(&View::of(&config, got.to_vec()), &[]);
        assert_eq!(document.outcome, outcome);
        let unavailable = document.plugins.unavailable.iter();
        let found: Vec<_> = unavailable.map(|one| (&*one.plugin, &*one.from)).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn conditions_see_the_via_of_the_gateway() {
    let routes = "routes: [{name: r, service: s, headers: {via: '1.1 gate'}}]";
    let with = View::without_plugins(&config(&format!("via: gate\n{routes}")));
    for headers in [&[][..], &[("via", "1.0 other")]] {
        assert_eq!(explained(&with, headers).outcome, "route r takes it");
    }
    let without = View::without_plugins(&config(routes));
    assert_eq!(explained(&without, &[]).outcome, "404: no route takes it");
}

#[track_caller]
fn asked(view: &View, method: &str, url: &str, headers: &[(&str, &str)]) -> Document {
    let headers = headers.iter();
    let question = Question {
        method: method.to_owned(),
        url: url.to_owned(),
        headers: headers
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        client: None,
    };
    view.answer(&question).unwrap()
}

#[test]
fn requests_that_may_pass_nobody_any_more_end_here() {
    let view = View::without_plugins(&config("routes: [{name: r, service: s}]"));
    let outcome = |method, left| {
        let document = asked(&view, method, "http://a.test/", &[("max-forwards", left)]);
        document.outcome
    };
    for (method, left, expected) in [
        ("OPTIONS", "0", "204: the gateway answers itself"),
        ("OPTIONS", "1", "route r takes it"),
        ("GET", "0", "route r takes it"),
        ("TRACE", "0", "the gateway refuses the request"),
        ("OPTIONS", "x", "the gateway refuses the request"),
    ] {
        let outcome = outcome(method, left);
        assert!(outcome.starts_with(expected), "{method} {left}: {outcome}");
    }
    let missing = config("routes: [{name: r, service: s}]\nplugins: [{name: p}]");
    let view = View::of(&missing, vec![Got::Missing("no file".to_owned())]);
    let document = asked(&view, "OPTIONS", "http://a.test/", &[("max-forwards", "0")]);
    assert!(document.outcome.starts_with("503"), "{}", document.outcome);
}

#[test]
fn the_scheme_is_that_of_a_listener() {
    let routes = "routes: [{name: secure, service: s, headers: {x-forwarded-proto: https}}, {name: plain, service: s}]";
    let (alone, trusting) = (
        View::without_plugins(&config(routes)),
        View::without_plugins(&config(&format!(
            "trusted_addresses: [127.0.0.1]\n{routes}"
        ))),
    );
    for (view, url, route, noted) in [
        (&alone, "http://a.test/", "plain", false),
        (&alone, "https://a.test/", "plain", true),
        (&trusting, "https://a.test/", "secure", false),
        (&trusting, "http://a.test/", "plain", false),
    ] {
        let document = asked(view, "GET", url, &[]);
        assert_eq!(document.outcome, format!("route {route} takes it"), "{url}");
        let notes = document.notes.iter();
        let noted_so = notes
            .filter(|note| note.contains("says https itself"))
            .count();
        assert_eq!(noted_so > 0, noted, "{url}");
    }
}

#[test]
fn shares_and_copies_are_told() {
    let more = "routes:\n- {name: r, service: s, split: [{upstream: u, weight: 90}, {upstream: v, weight: 10}], mirror: {upstream: v, percent: 5}}\n";
    let second =
        "upstreams: [{name: v, targets: [{address: '127.0.0.1:2'}, {address: '127.0.0.1:3'}]}, ";
    let source = Source {
        file: "gate.yaml".into(),
        text: format!(
            "format: 1\nlisteners: [{{name: l, address: '127.0.0.1:0'}}]\n{second}{{name: u, targets: [{{address: '127.0.0.1:1'}}]}}]\nservices: [{{name: s, upstream: u}}]\n{more}"
        ),
        base: PathBuf::from("/etc/gate"),
    };
    let view = View::without_plugins(&config::load(&source, &Fake).unwrap());
    let forward = explained(&view, &[]).forward.unwrap();
    let shares = forward.split.iter();
    let shares: Vec<_> = shares
        .map(|share| (&*share.upstream, share.weight, share.of))
        .collect();
    assert_eq!(shares, [("u", 90, 100), ("v", 10, 100)]);
    let mirror = forward.mirror.unwrap();
    assert_eq!((&*mirror.upstream, mirror.percent), ("v", 5));
    assert_eq!(mirror.targets, ["127.0.0.1:2", "127.0.0.1:3"]);
    let plain = View::without_plugins(&config("routes: [{name: r, service: s}]\n"));
    let forward = explained(&plain, &[]).forward.unwrap();
    let text = serde_json::to_string(&forward).unwrap();
    assert!(
        !text.contains("split") && !text.contains("mirror"),
        "{text}"
    );
}
