//! Limits how many requests each key may make in a time, and tells clients what is left.
//!
//! - [`settings`] turns the configuration into something that cannot be wrong;
//! - [`key`]: what requests are counted by; [`fields`](self): what clients are told;
//! - [`rule`], [`bucket`], [`window`]: how they are counted, pure;
//! - [`store`], `table`: where the counters of all keys are, for all workers;
//! - here is the decision.
#![forbid(unsafe_code)]

pub mod bucket;
mod fields;
pub mod key;
pub mod rule;
pub mod settings;
pub mod store;
mod table;
pub mod window;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fields::Fields;
use key::Secret;
use rule::Verdict;
use settings::{Config, Counters, Settings};
use store::Taken;
use swapgate_plugin::{
    Access, AccessCall, ConfigError, Error, Flow, HeaderFilter, HeaderFilterCall, Plugin, log,
};

/// Between two lines in the log about a store that is full.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(60);

/// An instance.
#[derive(Debug)]
pub struct RateLimit {
    settings: Settings,
    counters: Counters,
    fields: Fields,
    secret: Secret,
    began: Instant,
    /// When the log may next say that the store is full, in nanoseconds since `began`.
    next_warning: AtomicU64,
}

impl Plugin for RateLimit {
    /// After authentication, so that there is a consumer to count by, and before plugins that do work for the request.
    const PRIORITY: i32 = 900;
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let (settings, counters) = settings::validate(config)?;
        Ok(Self {
            fields: Fields::new(&settings),
            settings,
            counters,
            secret: Secret::random()?,
            began: Instant::now(),
            next_warning: AtomicU64::new(0),
        })
    }
}

impl Access for RateLimit {
    fn access(&self, request: &mut AccessCall<'_>) -> Result<Flow, Error> {
        let Settings { by, prefixes, .. } = &self.settings;
        let tag = key::tag(by, *prefixes, self.secret, request);
        let now = self.now();
        let Taken { verdict, shared } = match &self.counters {
            Counters::TokenBucket(store) => store.take(tag, now),
            Counters::SlidingWindow(store) => store.take(tag, now),
        };
        if shared {
            self.warn_that_it_is_full(now);
        }
        if self.settings.headers {
            request.set_state(verdict)?;
        }
        if verdict.admitted {
            return Ok(Flow::Continue);
        }
        Ok(request.respond(&self.fields.refusal(verdict))?)
    }
}

impl HeaderFilter for RateLimit {
    /// Appends, because both fields are lists, and what an upstream says of its own limits is still true.
    fn header_filter(&self, response: &mut HeaderFilterCall<'_>) -> Result<(), Error> {
        // There is no state where access did not run: no route matched, or an earlier plugin made the answer.
        if let Some(verdict) = response.state::<Verdict>().copied() {
            response.append_response_header("ratelimit-policy", &self.fields.policy)?;
            self.fields.rate_limit(verdict, |value| {
                response.append_response_header("ratelimit", value)
            })?;
        }
        Ok(())
    }
}

impl RateLimit {
    /// Nanoseconds since the instance was made; they last for 584 years.
    fn now(&self) -> u64 {
        nanoseconds(self.began.elapsed())
    }

    #[cold]
    fn warn_that_it_is_full(&self, now: u64) {
        let due = self.next_warning.load(Ordering::Relaxed);
        let next = now.saturating_add(nanoseconds(BETWEEN_WARNINGS));
        let first = |due| {
            let order = Ordering::Relaxed;
            let taken = self.next_warning.compare_exchange(due, next, order, order);
            taken.is_ok()
        };
        if now >= due && first(due) {
            log::warn!(
                "policy \"{}\" has a counter for as many keys as max_keys admits, all of them active: new keys share spare counters and are limited together; raise max_keys if these are honest clients",
                self.settings.policy
            );
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

swapgate_plugin::export!(RateLimit, id = "rate-limit");

#[cfg(test)]
mod tests {
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
    fn only_the_phases_it_needs() {
        let phases = Host::of::<RateLimit>().phases();
        assert_eq!(phases, [Phase::Access, Phase::HeaderFilter]);
    }
}
