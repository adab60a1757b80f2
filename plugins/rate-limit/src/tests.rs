//! The plugin in a gateway in memory.

use swapgate_plugin::testing::{Exchange, Host, Instance, Outcome, Phase};
use swapgate_plugin::{Response, serde_json};

use super::RateLimit;

#[track_caller]
fn check(instance: &Instance<'_>, exchange: &Exchange, expected: &[u16]) {
    let found: Vec<_> = expected
        .iter()
        .map(|_| instance.run(exchange.clone()).status())
        .collect();
    assert_eq!(found, expected);
}

/// One request may pass for each key; `same` have one key, and each of `others` has one of its own.
#[track_caller]
fn check_keys(by: &str, same: &[Exchange], others: &[Exchange]) {
    let host = Host::of::<RateLimit>();
    let config = format!(r#"{{"limit": 1, "window": "1h", "by": {by}}}"#);
    let instance = host.configure(&config).unwrap();
    for (index, exchange) in same.iter().enumerate() {
        let status = instance.run(exchange.clone()).status();
        assert_eq!(status, if index == 0 { 200 } else { 429 }, "{index}");
    }
    for (index, exchange) in others.iter().enumerate() {
        assert_eq!(
            instance.run(exchange.clone()).status(),
            200,
            "other {index}"
        );
    }
}

fn from(address: &str) -> Exchange {
    Exchange::new().client_address(address)
}

#[test]
fn what_is_over_the_limit_is_refused_and_told_so() {
    let host = Host::of::<RateLimit>();
    let instance = host.configure(r#"{"limit": 2, "window": "1h"}"#).unwrap();
    check(&instance, &Exchange::new(), &[200, 200, 429]);
    let refused: Outcome = instance.run(Exchange::new());
    assert!(!refused.reached_upstream());
    let header = |name| refused.response_header(name).unwrap();
    assert_eq!(header("content-type"), "application/problem+json");
    assert_eq!(header("retry-after"), "1800");
    assert_eq!(header("ratelimit-policy"), r#""default";q=2;w=3600"#);
    assert_eq!(header("ratelimit"), r#""default";r=0;t=1800"#);
    let body: serde_json::Value = serde_json::from_slice(refused.body()).unwrap();
    assert_eq!(body["status"], 429);
    assert_eq!(body["violated-policies"], serde_json::json!(["default"]));
}

#[test]
fn answers_that_pass_say_what_is_left() {
    let host = Host::of::<RateLimit>();
    let config = r#"{"limit": 10, "window": "1500ms", "burst": 20, "policy": "per user"}"#;
    let instance = host.configure(config).unwrap();
    let answer = instance.run(Exchange::new());
    assert_eq!(
        answer.response_header("ratelimit-policy").unwrap(),
        r#""per user";q=10;swapgate-burst=20"#,
        "there is no window of one and a half seconds in the draft"
    );
    assert_eq!(
        answer.response_header("ratelimit").unwrap(),
        r#""per user";r=19;t=1"#
    );
    assert_eq!(answer.response_header("retry-after"), None);
}

#[test]
fn what_the_upstream_says_of_its_limits_stays() {
    let host = Host::of::<RateLimit>();
    let instance = host.configure(r#"{"limit": 9, "window": "1h"}"#).unwrap();
    let upstream = Response::new(200).header("ratelimit", r#""own";r=7;t=9"#);
    let answer = instance.run(Exchange::new().upstream(upstream));
    assert_eq!(
        answer.response_header("ratelimit").unwrap(),
        r#""own";r=7;t=9, "default";r=8;t=400"#
    );
}

#[test]
fn headers_can_be_left_out() {
    let host = Host::of::<RateLimit>();
    let config = r#"{"limit": 1, "window": "1h", "headers": false}"#;
    let instance = host.configure(config).unwrap();
    for status in [200, 429] {
        let answer = instance.run(Exchange::new());
        assert_eq!(answer.status(), status);
        assert_eq!(answer.response_header("ratelimit"), None);
        assert_eq!(answer.response_header("ratelimit-policy"), None);
    }
}

#[test]
fn a_sliding_window_limits_too() {
    let host = Host::of::<RateLimit>();
    let config = r#"{"limit": 2, "window": "8h", "algorithm": "sliding-window"}"#;
    let instance = host.configure(config).unwrap();
    check(&instance, &Exchange::new(), &[200, 200, 429, 429]);
    let refused = instance.run(Exchange::new());
    assert_eq!(refused.response_header("retry-after").unwrap(), "32400");
}

#[test]
fn consumers_have_counters_of_their_own_and_strangers_their_address() {
    let alice = || Exchange::new().consumer("alice");
    check_keys(
        r#""consumer""#,
        &[alice(), alice().client_address("192.0.2.9")],
        &[
            Exchange::new().consumer("bob"),
            Exchange::new(),
            from("192.0.2.9"),
            Exchange::new().consumer("192.0.2.1"),
        ],
    );
}

#[test]
fn an_ipv6_network_is_one_client() {
    check_keys(
        r#""address""#,
        &[
            from("2001:db8::1"),
            from("2001:db8::ffff:1"),
            from("2001:db8:0:0:9::"),
        ],
        &[
            from("2001:db8:0:1::1"),
            from("192.0.2.1"),
            from("192.0.2.2"),
        ],
    );
    check_keys(
        r#""address""#,
        &[from("192.0.2.1"), from("::ffff:192.0.2.1")],
        &[],
    );
}

#[test]
fn leaving_out_a_header_leads_to_the_address() {
    let with = |value: &str| Exchange::new().header("x-tenant", value);
    check_keys(
        r#"{"header": "X-Tenant"}"#,
        &[with("a"), with("a").client_address("192.0.2.9")],
        &[
            with("b"),
            with(""),
            with("a").header("x-tenant", "b"),
            Exchange::new(),
        ],
    );
    check_keys(
        r#"{"header": "x-tenant"}"#,
        &[Exchange::new(), Exchange::new()],
        &[from("192.0.2.9")],
    );
}

#[test]
fn a_combination_is_one_key() {
    let key = |consumer, tenant: &str| Exchange::new().consumer(consumer).header("x-t", tenant);
    check_keys(
        r#"["consumer", {"header": "x-t"}, "route", "service"]"#,
        &[key("a", "bc"), key("a", "bc").client_address("192.0.2.9")],
        &[key("ab", "c"), key("a", "b"), key("abc", "")],
    );
}

#[test]
fn exchanges_without_a_route_are_left_alone() {
    let host = Host::of::<RateLimit>();
    let instance = host.configure(r#"{"limit": 1, "window": "1h"}"#).unwrap();
    for _ in 0..3 {
        let answer = instance.run(Exchange::new().no_route());
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.response_header("ratelimit"), None);
    }
}

#[test]
fn a_full_store_says_so_once() {
    let host = Host::of::<RateLimit>();
    let config = r#"{"limit": 1, "window": "1h", "max_keys": 1, "by": "address"}"#;
    let instance = host.configure(config).unwrap();
    for last in 1..200 {
        let _ = instance.run(from(&format!("192.0.2.{last}")));
    }
    let warnings = host.logs();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].text.contains("raise max_keys"));
}

#[test]
fn what_happened_is_counted() {
    let host = Host::of::<RateLimit>();
    let value = |name: &str, labels: &[(&str, &str)]| host.metric(name, labels).unwrap().value;
    let config = r#"{"limit": 1, "window": "1h", "max_keys": 2, "by": "address", "policy": "p"}"#;
    let instance = host.configure(config).unwrap();
    for address in ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        let _ = instance.run(from(address));
    }
    let requests = |outcome| value("requests", &[("policy", "p"), ("outcome", outcome)]);
    assert_eq!((requests("admitted"), requests("refused")), (3.0, 1.0));
    assert_eq!(value("shared_requests", &[("policy", "p")]), 1.0);
    assert_eq!(value("keys", &[("policy", "p")]), 2.0);
    drop(instance);
    assert_eq!(value("keys", &[("policy", "p")]), 0.0);

    let config = r#"{"limit": 1000, "window": "1ms", "by": "address", "policy": "q"}"#;
    let instance = host.configure(config).unwrap();
    let dropped = || value("keys_dropped", &[("policy", "q")]);
    // Buckets of a microsecond: sooner or later an earlier key is full again when a new one comes.
    (0..100_000u32).find(|last| {
        let _ = instance.run(from(&std::net::Ipv4Addr::from_bits(*last).to_string()));
        dropped() > 0.0
    });
    assert!(dropped() > 0.0);
}

#[test]
fn more_policies_than_there_may_be_series_are_limited_all_the_same() {
    let host = Host::of::<RateLimit>();
    let instances: Vec<_> = (0..100)
        .map(|number| {
            let config = format!(r#"{{"limit": 1, "window": "1h", "policy": "p{number}"}}"#);
            host.configure(&config).unwrap()
        })
        .collect();
    check(&instances[99], &Exchange::new(), &[200, 429]);
    let warning = host.logs().pop().unwrap().text;
    assert!(
        warning.contains("policy \"p99\" counts without metrics"),
        "{warning}"
    );
}

#[test]
fn only_the_phases_it_needs() {
    let phases = Host::of::<RateLimit>().phases();
    assert_eq!(phases, [Phase::Access, Phase::HeaderFilter]);
}

/// Hands over from one instance to one with another configuration; how many of `expected` requests pass there.
#[track_caller]
fn check_handover(before: &str, after: &str, expected: &[u16]) {
    let host = Host::of::<RateLimit>();
    let old = host.configure(before).unwrap();
    check(&old, &Exchange::new(), &[200, 200, 429]);
    let (format, state) = old.export_state().unwrap().unwrap();
    let mut new = host.configure(after).unwrap();
    new.import_state(format, &state).unwrap();
    check(&new, &Exchange::new(), expected);
    check(&new, &from("192.0.2.77"), &[200]);
}

#[test]
fn counters_are_handed_over_to_the_same_rule() {
    for algorithm in ["token-bucket", "sliding-window"] {
        let config = |more: &str| {
            format!(r#"{{"limit": 2, "window": "1h", "algorithm": "{algorithm}"{more}}}"#)
        };
        check_handover(&config(""), &config(""), &[429]);
        let other = config(r#", "headers": false, "max_keys": 70000, "policy": "x""#);
        check_handover(&config(""), &other, &[429]);
        check_handover(&other, &config(""), &[429]);
    }
}

#[test]
fn another_rule_counts_anew() {
    let before = r#"{"limit": 2, "window": "1h"}"#;
    for after in [
        r#"{"limit": 3, "window": "1h"}"#,
        r#"{"limit": 3, "window": "2h"}"#,
        r#"{"limit": 3, "window": "1h", "by": "address"}"#,
        r#"{"limit": 3, "window": "1h", "algorithm": "sliding-window"}"#,
    ] {
        check_handover(before, after, &[200, 200, 200, 429]);
    }
}

#[test]
fn what_is_no_state_is_refused_and_changes_nothing() {
    for algorithm in ["token-bucket", "sliding-window"] {
        let host = Host::of::<RateLimit>();
        let config = format!(
            r#"{{"limit": 2, "window": "1h", "by": "address", "algorithm": "{algorithm}"}}"#
        );
        let old = host.configure(&config).unwrap();
        for number in 0..20 {
            let _ = old.run(from(&format!("192.0.2.{number}")));
        }
        let (format, state) = old.export_state().unwrap().unwrap();
        let mut new = host.configure(&config).unwrap();
        assert!(new.import_state(format + 1, &state).is_err());
        for len in 0..state.len() {
            assert!(new.import_state(format, &state[..len]).is_err(), "{len}");
        }
        let mut longer = state.clone();
        longer.push(0);
        assert!(new.import_state(format, &longer).is_err());
        let mut absurd = state.clone();
        let at = absurd.len() - 1;
        absurd[at] = 0xff;
        assert!(new.import_state(format, &absurd).is_err());
        check(&new, &from("192.0.2.1"), &[200, 200, 429]);
        assert!(new.import_state(format, &state).is_ok());
        check(&new, &from("192.0.2.1"), &[200, 429]);
    }
}
