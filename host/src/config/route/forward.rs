//! Routes that forward: where to, under which path, within which time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Targets, template};
use crate::config::entities::Known;
use crate::config::error::ConfigError;
use crate::config::node::child;
use crate::config::raw::{RawMirror, RawRoute, RawRouteTimeouts, RawSplit};
use crate::config::ready::{Forward, ForwardPath, Mirror, ServiceTimeouts, Split};
use crate::config::resilience;
use crate::config::validate::{Checker, within_schema};
use crate::config::value::{self, Flaw};
use crate::router::pattern::PathPattern;

/// What a route that forwards does with its requests.
pub(super) fn forward(
    check: &mut Checker<'_>,
    at: &str,
    raw: &RawRoute,
    known: &Targets<'_>,
    paths: &[PathPattern],
) -> Forward {
    let (names, services) = known.services;
    let service = raw
        .service
        .as_deref()
        .map_or(0, |name| names.index(check, &child(at, "service"), name));
    let entry = services.get(service);
    let retries = raw.retries.as_ref().map(|raw| {
        let retries = resilience::retries(check, &child(at, "retries"), raw);
        Arc::new(retries)
    });
    Forward {
        service,
        path: forward_path(check, at, raw, paths),
        preserve_host: raw.preserve_host,
        upgrades: upgrades(check, &child(at, "upgrades"), &raw.upgrades),
        timeouts: timeouts(
            check,
            &child(at, "timeouts"),
            raw.timeouts.as_ref(),
            entry.map(|service| service.timeouts),
        ),
        retries: retries.or_else(|| entry.and_then(|service| service.retries.clone())),
        concurrency: resilience::concurrency(
            check,
            &child(at, "concurrency"),
            raw.concurrency.as_ref(),
        ),
        split: split(check, &child(at, "split"), &raw.split, known.upstreams),
        mirror: raw
            .mirror
            .as_ref()
            .map(|raw| mirror(check, &child(at, "mirror"), raw, known.upstreams)),
    }
}

/// Upstreams that share the requests of a route.
fn split(check: &mut Checker<'_>, list: &str, raw: &[RawSplit], known: &Known<'_>) -> Vec<Split> {
    let mut seen: HashMap<&str, String> = HashMap::new();
    let mut out = Vec::new();
    for (i, part) in raw.iter().enumerate() {
        let pointer = child(&child(list, &i.to_string()), "upstream");
        if let Some(first) = seen.get(&*part.upstream) {
            let what = "this upstream has a share already in";
            check.twice(&pointer, what, &first.clone(), "make one share of the two");
        }
        out.push(Split {
            upstream: known.index(check, &pointer, &part.upstream),
            weight: u32::try_from(part.weight).unwrap_or(0),
        });
        seen.insert(&part.upstream, pointer);
    }
    if !raw.is_empty() && raw.iter().all(|part| part.weight == 0) {
        check.error(list, |place| {
            ConfigError::new(place, "no upstream has a share of the requests")
                .advice("give one of them a weight above 0")
        });
    }
    out
}

fn mirror(check: &mut Checker<'_>, at: &str, raw: &RawMirror, known: &Known<'_>) -> Mirror {
    Mirror {
        upstream: known.index(check, &child(at, "upstream"), &raw.upstream),
        percent: resilience::percent(raw.percent),
        requests: within_schema(raw.requests),
        body_bytes: check
            .size(&child(at, "body_bytes"), &raw.body_bytes)
            .unwrap_or_default(),
    }
}

/// Refuses what only means something where a request is forwarded.
pub(super) fn forwards_nothing(check: &mut Checker<'_>, at: &str, raw: &RawRoute, action: &str) {
    let keys = [
        ("strip_path", raw.strip_path),
        ("rewrite_path", raw.rewrite_path.is_some()),
        ("preserve_host", raw.preserve_host),
        ("timeouts", raw.timeouts.is_some()),
        ("retries", raw.retries.is_some()),
        ("concurrency", raw.concurrency.is_some()),
        ("split", !raw.split.is_empty()),
        ("mirror", raw.mirror.is_some()),
    ];
    for (key, _) in keys.iter().filter(|(_, is)| *is) {
        check.error(&child(at, key), |place| {
            ConfigError::new(place, format!("a route with {action} forwards nothing"))
                .advice("leave this key out")
        });
    }
}

fn forward_path(
    check: &mut Checker<'_>,
    at: &str,
    raw: &RawRoute,
    paths: &[PathPattern],
) -> ForwardPath {
    let pointer = child(at, "rewrite_path");
    let Some(text) = &raw.rewrite_path else {
        return if raw.strip_path {
            ForwardPath::Strip
        } else {
            ForwardPath::Keep
        };
    };
    if raw.strip_path {
        check.error(&pointer, |place| {
            ConfigError::new(
                place,
                "strip_path and rewrite_path both say what is forwarded",
            )
            .advice("keep rewrite_path; {$rest} is what strip_path would leave")
        });
    }
    let Some(path) = template(check, &pointer, text, paths) else {
        return ForwardPath::Keep;
    };
    if !path.is_path() {
        let flaw = Flaw::new("a path such as /v2/users/{id}{$rest}; the query stays as it is");
        check.value::<()>(&pointer, Err(flaw));
    }
    ForwardPath::Rewrite(path)
}

fn timeouts(
    check: &mut Checker<'_>,
    at: &str,
    raw: Option<&RawRouteTimeouts>,
    service: Option<ServiceTimeouts>,
) -> ServiceTimeouts {
    let second = Duration::from_secs(1);
    let service = service.unwrap_or(ServiceTimeouts {
        connect: second,
        response: second,
        idle: second,
        tunnel: second,
        total: None,
    });
    let Some(raw) = raw else {
        return service;
    };
    let mut own =
        |key, raw: Option<&_>, other| raw.map_or(other, |raw| check.duration(&child(at, key), raw));
    ServiceTimeouts {
        connect: own("connect", raw.connect.as_ref(), service.connect),
        response: own("response", raw.response.as_ref(), service.response),
        idle: own("idle", raw.idle.as_ref(), service.idle),
        tunnel: own("tunnel", raw.tunnel.as_ref(), service.tunnel),
        total: match &raw.total {
            Some(total) => Some(check.duration(&child(at, "total"), total)),
            None => service.total,
        },
    }
}

/// Protocols a connection may change over to.
fn upgrades(check: &mut Checker<'_>, list: &str, raw: &[String]) -> Vec<Box<str>> {
    let read = |text: &str| {
        let flaw = || Flaw::new("the name of a protocol such as websocket");
        // The version of another HTTP is not for a client to choose behind the gateway's back (RFC 9113, 3.1).
        let http =
            text.eq_ignore_ascii_case("h2c") || text.to_ascii_lowercase().starts_with("http");
        // A name, and perhaps a version (RFC 9110, 7.8).
        for part in text.splitn(2, '/') {
            value::token(part).map_err(|_| flaw())?;
        }
        if http {
            return Err(flaw());
        }
        Ok(text.to_ascii_lowercase().into_boxed_str())
    };
    check.each(list, raw, read)
}
