//! From raw to ready: what becomes of upstreams that fail, and of more than there is room for.

use std::time::Duration;

use super::error::ConfigError;
use super::node::child;
use super::raw::{
    RawActiveHealth, RawConcurrency, RawDns, RawHealth, RawHealthCheck, RawOverload,
    RawPassiveHealth, RawRetries, RawUpstreamBreaker,
};
use super::ready::{
    ActiveHealth, Concurrency, Dns, Health, HealthCheck, Overload, PassiveHealth, Retries, RetryOn,
    Statuses, UpstreamBreaker,
};
use super::route;
use super::validate::{Checker, within_schema};
use super::value::{self, Flaw};

/// How long an answer about a name may be waited for at most.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);

pub(super) fn overload(check: &mut Checker<'_>, raw: &RawOverload) -> Overload {
    let memory = raw.memory.as_ref();
    Overload {
        requests: raw.requests.map(within_schema),
        memory: memory.and_then(|size| check.size("/overload/memory", size)),
        retry_after: check.duration("/overload/retry_after", &raw.retry_after),
    }
}

pub(super) fn dns(check: &mut Checker<'_>, raw: &RawDns) -> Dns {
    let dns = Dns {
        servers: check.each("/dns/servers", &raw.servers, value::address),
        min_ttl: check.duration("/dns/min_ttl", &raw.min_ttl),
        max_ttl: check.duration("/dns/max_ttl", &raw.max_ttl),
        timeout: check.duration("/dns/timeout", &raw.timeout),
    };
    at_least(check, "/dns/max_ttl", dns.max_ttl, ("min_ttl", dns.min_ttl));
    if dns.timeout > LONGEST_ANSWER {
        let found = check.found("/dns/timeout");
        check.error("/dns/timeout", |place| {
            let problem = "this is too long, for a start and every reload that brings a name may have to wait for it";
            ConfigError::new(place, problem)
                .found_if(found)
                .advice(format!("make it {LONGEST_ANSWER:?} or shorter"))
        });
    }
    dns
}

pub(super) fn health(check: &mut Checker<'_>, at: &str, raw: &RawHealth) -> Health {
    let active = raw.active.as_ref();
    let passive = raw.passive.as_ref();
    Health {
        active: active.map(|raw| self::active(check, &child(at, "active"), raw)),
        passive: passive.map(|raw| self::passive(check, &child(at, "passive"), raw)),
    }
}

fn active(check: &mut Checker<'_>, at: &str, raw: &RawActiveHealth) -> ActiveHealth {
    let host = raw.host.as_deref().map(Box::from);
    if let Some(host) = &raw.host {
        let good =
            http::uri::Authority::try_from(host.as_str()).is_ok_and(|a| !a.as_str().contains('@'));
        let flaw = || Flaw::new("a host such as users.internal, with a port if it has one");
        check.value(&child(at, "host"), good.then_some(()).ok_or_else(flaw));
    }
    let (kind, others): (_, &[&str]) = match raw.kind {
        RawHealthCheck::Http => ("http", &["service"]),
        RawHealthCheck::Tcp => ("tcp", &["path", "host", "service", "statuses"]),
        RawHealthCheck::Grpc => ("grpc", &["path", "statuses"]),
    };
    others
        .iter()
        .for_each(|key| unused(check, &child(at, key), kind));
    let health_check = match raw.kind {
        RawHealthCheck::Http => HealthCheck::Http {
            path: path(check, &child(at, "path"), &raw.path),
            host,
            statuses: statuses(check, &child(at, "statuses"), &raw.statuses),
        },
        RawHealthCheck::Tcp => HealthCheck::Tcp,
        RawHealthCheck::Grpc => HealthCheck::Grpc {
            service: raw.service.as_str().into(),
            host,
        },
    };
    ActiveHealth {
        check: health_check,
        interval: check.duration(&child(at, "interval"), &raw.interval),
        timeout: check.duration(&child(at, "timeout"), &raw.timeout),
        jitter: percent(raw.jitter),
        healthy: number(raw.healthy),
        unhealthy: number(raw.unhealthy),
    }
}

/// Notes a key that checks of this type do not go by.
fn unused(check: &mut Checker<'_>, pointer: &str, kind: &str) {
    let Some(found) = check.found(pointer) else {
        return;
    };
    check.error(pointer, |place| {
        ConfigError::new(place, format!("a check of type {kind} has no use for this"))
            .found_if(Some(found))
            .advice("leave the key out, or choose another type")
    });
}

fn path(check: &mut Checker<'_>, pointer: &str, text: &str) -> Box<str> {
    let good = text.starts_with('/')
        && http::uri::PathAndQuery::try_from(text).is_ok_and(|path| path.as_str() == text);
    let flaw = || Flaw::new("a path such as /healthz, with a query if it has one");
    check.value(pointer, good.then_some(()).ok_or_else(flaw));
    text.into()
}

fn passive(check: &mut Checker<'_>, at: &str, raw: &RawPassiveHealth) -> PassiveHealth {
    let health = PassiveHealth {
        failures: number(raw.failures),
        statuses: statuses(check, &child(at, "statuses"), &raw.statuses),
        eject: check.duration(&child(at, "eject"), &raw.eject),
        max_eject: check.duration(&child(at, "max_eject"), &raw.max_eject),
        max_ejected: percent(raw.max_ejected),
    };
    let pointer = child(at, "max_eject");
    at_least(check, &pointer, health.max_eject, ("eject", health.eject));
    health
}

pub(super) fn concurrency(
    check: &mut Checker<'_>,
    at: &str,
    raw: Option<&RawConcurrency>,
) -> Option<Concurrency> {
    raw.map(|raw| Concurrency {
        requests: within_schema(raw.requests),
        queue: within_schema(raw.queue),
        wait: check.duration(&child(at, "wait"), &raw.wait),
    })
}

pub(super) fn breaker(
    check: &mut Checker<'_>,
    at: &str,
    raw: Option<&RawUpstreamBreaker>,
) -> Option<UpstreamBreaker> {
    let raw = raw?;
    let fallback = raw.fallback.as_ref();
    Some(UpstreamBreaker {
        failures: percent(raw.failures),
        requests: number(raw.requests),
        window: check.duration(&child(at, "window"), &raw.window),
        open: check.duration(&child(at, "open"), &raw.open),
        trials: number(raw.trials),
        statuses: statuses(check, &child(at, "statuses"), &raw.statuses),
        fallback: fallback.map(|raw| {
            let at = child(at, "fallback");
            route::answer(check, &at, (raw.status, &raw.headers, &raw.body))
        }),
    })
}

pub(super) fn retries(check: &mut Checker<'_>, at: &str, raw: &RawRetries) -> Retries {
    let mut on = RetryOn::default();
    let mut ranges = Vec::new();
    for (i, text) in raw.on.iter().enumerate() {
        match text.as_str() {
            "connect" => on.connect = true,
            "reset" => on.reset = true,
            "timeout" => on.timeout = true,
            other => {
                let read = range(other).map_err(|_| {
                    Flaw::new("connect, reset, timeout, or statuses such as \"503\" or \"502-504\"")
                });
                let pointer = child(&child(at, "on"), &i.to_string());
                ranges.extend(check.value(&pointer, read));
            }
        }
    }
    on.statuses = Statuses::new(ranges);
    let retries = Retries {
        attempts: number(raw.attempts),
        on,
        budget: number(raw.budget),
        backoff: check.duration(&child(at, "backoff"), &raw.backoff),
        max_backoff: check.duration(&child(at, "max_backoff"), &raw.max_backoff),
        body_bytes: check
            .size(&child(at, "body_bytes"), &raw.body_bytes)
            .unwrap_or_default(),
    };
    let pointer = child(at, "max_backoff");
    at_least(
        check,
        &pointer,
        retries.max_backoff,
        ("backoff", retries.backoff),
    );
    retries
}

fn statuses(check: &mut Checker<'_>, list: &str, raw: &[String]) -> Statuses {
    Statuses::new(check.each(list, raw, range))
}

/// `503` or `502-504`.
fn range(text: &str) -> Result<(u16, u16), Flaw> {
    let status = |text: &str| {
        let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| text.parse().ok()).flatten();
        number.filter(|status: &u16| (100..=599).contains(status))
    };
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    match (status(from), status(to)) {
        (Some(from), Some(to)) if from <= to => Ok((from, to)),
        _ => Err(Flaw::new(
            "a status or a range of them such as \"503\" or \"502-504\"",
        )),
    }
}

/// Notes a time that is shorter than another one.
fn at_least(
    check: &mut Checker<'_>,
    pointer: &str,
    time: Duration,
    (other, least): (&str, Duration),
) {
    if time < least {
        let found = check.found(pointer);
        check.error(pointer, |place| {
            ConfigError::new(place, format!("this is shorter than {other}"))
                .found_if(found)
                .advice(format!("make it {least:?} or longer"))
        });
    }
}

/// A percentage whose range the schema has checked.
pub(super) fn percent(number: u64) -> u8 {
    u8::try_from(number).unwrap_or(100)
}

/// A number whose range the schema has checked.
fn number(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
