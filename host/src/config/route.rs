//! From raw to ready: routes. `forward` and `answer` read what they do, `condition` when.

mod answer;
mod condition;
mod forward;

use std::error::Error;

pub(super) use answer::answer;

use super::entities::{Known, uses};
use super::error::ConfigError;
use super::node::child;
use super::raw::{RawRoute, RawUpstream};
use super::ready::{Action, Route, Service};
use super::validate::Checker;
use super::value;
use crate::router::pattern::{HostPattern, PathPattern};
use crate::router::template::Template;
use answer::{redirected, responded};
use condition::conditions;
use forward::{forward, forwards_nothing};

/// What routes refer to.
struct Targets<'a> {
    services: (&'a Known<'a>, &'a [Service]),
    upstreams: &'a Known<'a>,
}

pub(super) fn routes(
    check: &mut Checker<'_>,
    raw: &[RawRoute],
    (services, upstreams): (&[Service], &[RawUpstream]),
) -> Vec<Route> {
    check.names("/routes", raw.iter().map(|route| &*route.name));
    let names = services.iter().map(|service| &*service.name);
    let known = Known::new(check, "service", "/services", names);
    let names = upstreams.iter().map(|upstream| &*upstream.name);
    let upstreams = Known::new(check, "upstream", "/upstreams", names);
    let known = Targets {
        services: (&known, services),
        upstreams: &upstreams,
    };
    let mut out = Vec::new();
    for (i, route) in raw.iter().enumerate() {
        let at = format!("/routes/{i}");
        let paths = parsed(check, &child(&at, "paths"), &route.paths, |text| {
            PathPattern::parse(text).map_err(|e| chain(&e))
        });
        out.push(Route {
            name: route.name.as_str().into(),
            action: action(check, &at, route, &known, &paths),
            hosts: parsed(check, &child(&at, "hosts"), &route.hosts, |text| {
                HostPattern::parse(text).map_err(|e| chain(&e))
            }),
            methods: check.each(&child(&at, "methods"), &route.methods, value::method),
            conditions: conditions(check, &at, route),
            priority: i32::try_from(route.priority).unwrap_or(0),
            regex_priority: i32::try_from(route.regex_priority).unwrap_or(0),
            body_bytes: route
                .body_bytes
                .as_ref()
                .and_then(|size| check.size(&child(&at, "body_bytes"), size)),
            plugins: uses(check, &child(&at, "plugins"), &route.plugins),
            paths,
        });
    }
    out
}

/// What the route does, and that it does one thing.
fn action(
    check: &mut Checker<'_>,
    at: &str,
    raw: &RawRoute,
    known: &Targets<'_>,
    paths: &[PathPattern],
) -> Action {
    let named = [
        ("service", raw.service.is_some()),
        ("redirect", raw.redirect.is_some()),
        ("respond", raw.respond.is_some()),
    ];
    let mut named = named.iter().filter(|(_, is)| *is).map(|(key, _)| *key);
    let (first, second) = (named.next(), named.next());
    if first.is_none() && !check.broken.covers(&child(at, "service")) {
        check.error(at, |place| {
            ConfigError::new(place, "the route does nothing with its requests")
                .expected("one of service, redirect and respond")
        });
    }
    if let (Some(first), Some(second)) = (first, second) {
        check.error(&child(at, second), |place| {
            ConfigError::new(place, format!("the route has a {first} already"))
                .advice("keep one of the two, or make two routes")
        });
    }
    if let Some(redirect) = &raw.redirect {
        forwards_nothing(check, at, raw, "redirect");
        return redirected(check, &child(at, "redirect"), redirect, paths);
    }
    if let Some(respond) = &raw.respond {
        forwards_nothing(check, at, raw, "respond");
        return responded(check, &child(at, "respond"), respond);
    }
    Action::Forward(forward(check, at, raw, known, paths))
}

/// Reads a template whose parameters every path of the route has.
fn template(
    check: &mut Checker<'_>,
    pointer: &str,
    text: &str,
    paths: &[PathPattern],
) -> Option<Template> {
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(why) => {
            unfit(check, pointer, &why.to_string());
            return None;
        }
    };
    for name in template.parameters() {
        let without = paths.iter().find(|path| !path.parameters().contains(&name));
        if let Some(path) = without {
            unfit(
                check,
                pointer,
                &format!("the path '{path}' has no parameter '{name}'"),
            );
        }
    }
    Some(template)
}

/// What another room reads, and whose own sentence says what is wrong with it.
fn parsed<T>(
    check: &mut Checker<'_>,
    list: &str,
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let mut out = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        match parse(text) {
            Ok(pattern) => out.push(pattern),
            Err(why) => unfit(check, &child(list, &i.to_string()), &why),
        }
    }
    out
}

/// Notes what another room says of a value. It quotes the value, which must not happen to a filled-in one.
fn unfit(check: &mut Checker<'_>, pointer: &str, why: &str) {
    let hidden = check.is_filled(pointer).then(|| check.found(pointer));
    check.error(pointer, |place| match hidden {
        None => ConfigError::new(place, why),
        Some(found) => ConfigError::new(place, "this value does not fit").found_if(found),
    });
}

/// An error with its causes in one sentence.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(", {error}"));
        cause = error.source();
    }
    text
}
