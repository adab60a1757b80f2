//! Limits how many requests each key may make in a time, and tells clients what is left.
//!
//! - [`settings`] turns the configuration into something that cannot be wrong;
//! - [`key`]: what requests are counted by; [`fields`](self): what clients are told;
//! - [`rule`], [`bucket`], [`window`]: how they are counted, pure;
//! - [`store`], `table`: where the counters of all keys are, for all workers;
//! - `state`: what is handed over when another version takes its place;
//! - here is the decision.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::get_unwrap,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::unreachable,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::unchecked_time_subtraction,
    )
)]

pub mod bucket;
mod fields;
pub mod key;
mod metrics;
pub mod rule;
pub mod settings;
pub mod state;
#[allow(
    clippy::indexing_slicing,
    reason = "tables and spare counters are picked by remainders of how many there are"
)]
pub mod store;
#[allow(
    clippy::indexing_slicing,
    reason = "every place comes from `home` or `next`, which stay below the number of places"
)]
mod table;
#[allow(
    clippy::indexing_slicing,
    reason = "every place is a remainder of the number of counters, which is fixed"
)]
pub mod window;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fields::Fields;
use key::Secret;
use metrics::Metrics;
use rule::Verdict;
use settings::{Config, Counters, Settings};
use swapgate_plugin::{
    Access, AccessCall, ConfigError, Error, Flow, HeaderFilter, HeaderFilterCall, Plugin, flags,
    log,
};

/// Between two lines in the log about a store that is full.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(60);

/// An instance.
#[derive(Debug)]
pub struct RateLimit {
    settings: Settings,
    counters: Counters,
    fields: Fields,
    metrics: Option<Metrics>,
    secret: Secret,
    /// What the clock reads at `began`, in nanoseconds: an instance that took over counters goes on with their time.
    base: u64,
    began: Instant,
    /// When the log may next say that the store is full, in nanoseconds of the instance's clock.
    next_warning: AtomicU64,
}

impl Plugin for RateLimit {
    /// After authentication, so that there is a consumer to count by, and before plugins that do work for the request.
    const PRIORITY: i32 = 900;
    const FLAGS: u32 = flags::REQUEST_HEADERS_EARLY;
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let (settings, counters) = settings::validate(config)?;
        Ok(Self {
            fields: Fields::new(&settings),
            metrics: Metrics::declare(&settings.policy),
            settings,
            counters,
            secret: Secret::random()?,
            base: 0,
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
        let taken = match &self.counters {
            Counters::TokenBucket(store) => store.take(tag, now),
            Counters::SlidingWindow(store) => store.take(tag, now),
        };
        if let Some(metrics) = &self.metrics {
            metrics.count(&taken);
        }
        let verdict = taken.verdict;
        if taken.shared {
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
    /// Nanoseconds since the first instance of those that handed over counters was made; they last for 584 years.
    fn now(&self) -> u64 {
        self.base.saturating_add(nanoseconds(self.began.elapsed()))
    }

    /// Takes over the tags and the time of another instance.
    fn continue_from(&mut self, secret: Secret, now: u64) {
        self.secret = secret;
        self.base = now;
        self.began = Instant::now();
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

impl Drop for RateLimit {
    fn drop(&mut self) {
        if let Some(metrics) = &self.metrics {
            metrics.forget(match &self.counters {
                Counters::TokenBucket(store) => store.keys(),
                Counters::SlidingWindow(store) => store.keys(),
            });
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

swapgate_plugin::export!(RateLimit, id = "rate-limit");

#[cfg(test)]
mod tests;
