//! From raw to ready: upstreams and their targets.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use http::HeaderName;

use super::error::ConfigError;
use super::node::child;
use super::raw::{RawAlgorithm, RawSticky, RawTarget, RawUpstream};
use super::ready::{Algorithm, Balance, HashBy, Sticky, Target, TargetAddress, Upstream};
use super::resilience::{self, percent};
use super::tls;
use super::validate::{ADDRESS_TAKEN, Checker, OTHER};
use super::value::{self, Flaw};

pub(super) fn upstreams(
    check: &mut Checker<'_>,
    raw: &[RawUpstream],
    base: &Path,
) -> Vec<Upstream> {
    check.names("/upstreams", raw.iter().map(|upstream| &*upstream.name));
    let mut out = Vec::new();
    for (i, upstream) in raw.iter().enumerate() {
        let at = format!("/upstreams/{i}");
        out.push(Upstream {
            name: upstream.name.as_str().into(),
            balance: balance(check, &at, upstream),
            protocol: tls::protocol(check, i, upstream),
            tls: tls::upstream(check, i, upstream, base),
            targets: targets(check, &child(&at, "targets"), &upstream.targets),
            health: resilience::health(check, &child(&at, "health"), &upstream.health),
            concurrency: resilience::concurrency(
                check,
                &child(&at, "concurrency"),
                upstream.concurrency.as_ref(),
            ),
            breaker: resilience::breaker(check, &child(&at, "breaker"), upstream.breaker.as_ref()),
        });
    }
    out
}

fn balance(check: &mut Checker<'_>, at: &str, raw: &RawUpstream) -> Balance {
    let algorithm = match raw.algorithm {
        RawAlgorithm::RoundRobin => Algorithm::RoundRobin,
        RawAlgorithm::LeastRequests => Algorithm::LeastRequests,
        RawAlgorithm::P2cEwma => Algorithm::P2cEwma,
        RawAlgorithm::ConsistentHash => Algorithm::ConsistentHash,
        RawAlgorithm::Random => Algorithm::Random,
    };
    let hashes = algorithm == Algorithm::ConsistentHash;
    let list = child(at, "hash");
    if hashes && raw.hash.is_empty() {
        check.error(&list, |place| {
            ConfigError::new(place, "consistent-hash needs to know what it goes by")
                .advice("write for example hash: [consumer, address]")
        });
    }
    if !hashes && !raw.hash.is_empty() {
        check.error(&list, |place| {
            ConfigError::new(place, "only consistent-hash goes by this")
                .advice("write algorithm: consistent-hash, or leave this key out")
        });
    }
    let slow_start = raw.slow_start.as_ref();
    Balance {
        algorithm,
        hash: check.each(&list, &raw.hash, hash_by),
        sticky: raw
            .sticky
            .as_ref()
            .map(|raw| sticky(check, &child(at, "sticky"), raw)),
        slow_start: slow_start.map(|time| check.duration(&child(at, "slow_start"), time)),
        panic: percent(raw.panic),
    }
}

fn sticky(check: &mut Checker<'_>, at: &str, raw: &RawSticky) -> Sticky {
    check.value(&child(at, "cookie"), value::token(&raw.cookie));
    let pointer = child(at, "max_age");
    let max_age = raw.max_age.as_ref();
    let max_age = max_age.map(|age| check.duration(&pointer, age));
    if max_age.is_some_and(|age| age < Duration::from_secs(1)) {
        let found = check.found(&pointer);
        check.error(&pointer, |place| {
            let problem =
                "this is shorter than a second, and clients would forget the cookie at once";
            ConfigError::new(place, problem)
                .found_if(found)
                .advice("make it 1s or longer, or leave it out for a cookie of the session")
        });
    }
    Sticky {
        cookie: raw.cookie.as_str().into(),
        max_age,
    }
}

fn hash_by(text: &str) -> Result<HashBy, Flaw> {
    let flaw = || Flaw::new("consumer, address, header:NAME, cookie:NAME or param:NAME");
    let (kind, name) = text.split_once(':').unwrap_or((text, ""));
    match (kind, name) {
        ("consumer", "") if kind == text => Ok(HashBy::Consumer),
        ("address", "") if kind == text => Ok(HashBy::Address),
        ("header", name) => {
            let name = HeaderName::try_from(name).map_err(|_| flaw())?;
            Ok(HashBy::Header(name))
        }
        ("cookie", name) => {
            value::token(name).map_err(|_| flaw())?;
            Ok(HashBy::Cookie(name.into()))
        }
        ("param", name) if !name.is_empty() => Ok(HashBy::Param(name.into())),
        _ => Err(flaw()),
    }
}

fn targets(check: &mut Checker<'_>, list: &str, raw: &[RawTarget]) -> Vec<Target> {
    let mut seen: HashMap<TargetAddress, String> = HashMap::new();
    let mut out = Vec::new();
    for (i, target) in raw.iter().enumerate() {
        let pointer = format!("{list}/{i}/address");
        let Some(address) = check.value(&pointer, value::target(&target.address)) else {
            continue;
        };
        if let Some(first) = seen.get(&address) {
            check.twice(&pointer, ADDRESS_TAKEN, &first.clone(), OTHER);
        }
        seen.insert(address.clone(), pointer);
        out.push(Target {
            address,
            weight: u32::try_from(target.weight).unwrap_or(1),
            priority: u8::try_from(target.priority).unwrap_or(0),
        });
    }
    out
}
