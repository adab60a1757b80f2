//! From the configuration as it is written to one that cannot be wrong.

use schemars::JsonSchema;
use serde::Deserialize;
use swapgate_plugin::{ConfigError, header};

use crate::bucket::TokenBucket;
use crate::key::{Part, Prefixes};
use crate::store::Store;
use crate::window::SlidingWindow;

const MAX_LIMIT: u32 = 1_000_000_000;
const MAX_KEYS: usize = 100_000_000;
const MAX_POLICY: usize = 64;
const YEAR_MS: u64 = 365 * 24 * 3_600_000;

/// The configuration as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How many requests may pass in a window.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    limit: u32,
    /// The window: a time with a unit such as 500ms, 1s, 1m or 1h.
    window: String,
    /// How requests are counted.
    #[serde(default)]
    algorithm: Algorithm,
    /// How many requests may pass at once, for a token bucket. The limit unless set.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    burst: Option<u32>,
    /// What requests are counted by: one of consumer, address, route, service and {header: NAME}, or a list of them.
    #[serde(default)]
    by: By,
    /// How many keys have a counter of their own; this bounds the memory.
    #[serde(default = "hundred_thousand")]
    #[schemars(range(min = 1, max = 100_000_000))]
    max_keys: usize,
    /// Whether answers say what is left, in RateLimit and RateLimit-Policy.
    #[serde(default = "yes")]
    headers: bool,
    /// What these headers call this limit.
    #[serde(default = "default_policy")]
    policy: String,
    /// How much of an address counts. Who has an IPv6 network of 64 bits has all of its addresses.
    #[serde(default)]
    address_prefix: RawPrefixes,
}

/// How requests are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// Tokens come evenly, `limit` in a window; up to `burst` can be saved.
    #[default]
    TokenBucket,
    /// No span of a window holds more than `limit`.
    SlidingWindow,
}

/// One part of the key, or several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected consumer, address, route, service, {header: NAME}, or a list of them"
)]
enum By {
    One(Part),
    Several(Vec<Part>),
}

impl Default for By {
    fn default() -> Self {
        Self::One(Part::Consumer)
    }
}

/// How many bits of an address count.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RawPrefixes {
    /// Of an IPv4 address.
    #[schemars(range(min = 0, max = 32))]
    v4: u8,
    /// Of an IPv6 address.
    #[schemars(range(min = 0, max = 128))]
    v6: u8,
}

impl Default for RawPrefixes {
    fn default() -> Self {
        Self { v4: 32, v6: 64 }
    }
}

fn yes() -> bool {
    true
}

fn hundred_thousand() -> usize {
    100_000
}

fn default_policy() -> String {
    "default".to_owned()
}

/// What the hooks need.
#[derive(Debug)]
pub struct Settings {
    pub(crate) limit: u32,
    pub(crate) window_ms: u64,
    /// Where it differs from the limit.
    pub(crate) burst: Option<u32>,
    pub(crate) by: Vec<Part>,
    pub(crate) prefixes: Prefixes,
    pub(crate) headers: bool,
    pub(crate) policy: String,
}

/// The counters, by rule.
#[derive(Debug)]
pub enum Counters {
    /// Under the token bucket.
    TokenBucket(Store<TokenBucket>),
    /// Under the sliding window.
    SlidingWindow(Store<SlidingWindow>),
}

/// Checks a configuration and makes the counters it asks for.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn validate(config: Config) -> Result<(Settings, Counters), ConfigError> {
    within("limit", config.limit, MAX_LIMIT)?;
    let window_ms = window(&config.window)?;
    let by = parts(config.by)?;
    let policy = policy(config.policy)?;
    if !(1..=MAX_KEYS).contains(&config.max_keys) {
        let text = format!("is not between 1 and {MAX_KEYS}");
        return Err(ConfigError::at("max_keys", text));
    }
    let RawPrefixes { v4, v6 } = config.address_prefix;
    let prefixes = Prefixes::new(v4, v6).map_err(|place| {
        let text = "is more than an address has bits: 32 for v4, 128 for v6";
        ConfigError::at(format!("address_prefix.{place}"), text)
    })?;
    let window_ns = window_ms * 1_000_000;
    let counters = match (config.algorithm, config.burst) {
        (Algorithm::TokenBucket, burst) => {
            let burst = burst.unwrap_or(config.limit);
            within("burst", burst, MAX_LIMIT)?;
            let rule = TokenBucket::new(config.limit, window_ns, burst);
            Counters::TokenBucket(Store::new(rule, config.max_keys))
        }
        (Algorithm::SlidingWindow, None) => {
            let rule = SlidingWindow::new(config.limit, window_ns);
            Counters::SlidingWindow(Store::new(rule, config.max_keys))
        }
        (Algorithm::SlidingWindow, Some(_)) => {
            let text = "is for algorithm token-bucket only: a sliding window has no burst beyond its limit, so leave it out";
            return Err(ConfigError::at("burst", text));
        }
    };
    let settings = Settings {
        limit: config.limit,
        window_ms,
        burst: config.burst.filter(|burst| *burst != config.limit),
        by,
        prefixes,
        headers: config.headers,
        policy,
    };
    Ok((settings, counters))
}

fn within(place: &str, number: u32, most: u32) -> Result<(), ConfigError> {
    if (1..=most).contains(&number) {
        return Ok(());
    }
    Err(ConfigError::at(
        place,
        format!("is not between 1 and {most}"),
    ))
}

/// The same units as in the configuration of the gateway.
fn window(text: &str) -> Result<u64, ConfigError> {
    let wrong = |text: &str| ConfigError::at("window", text);
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = text.strip_suffix(unit);
    let number: u64 = number
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| {
            wrong("is no time: write a number and a unit, such as 500ms, 1s, 1m or 1h")
        })?;
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong("has no unit that is known: use ms, s, m or h")),
    };
    match number.checked_mul(factor) {
        Some(0) => Err(wrong("is zero: give a time longer than that")),
        Some(ms) if ms <= YEAR_MS => Ok(ms),
        _ => Err(wrong("is longer than a year: give at most 8760h")),
    }
}

fn parts(by: By) -> Result<Vec<Part>, ConfigError> {
    let mut parts = match by {
        By::One(part) => vec![part],
        By::Several(parts) => parts,
    };
    if parts.is_empty() {
        let text = "is empty: name what to count by, or leave it out to count by consumer";
        return Err(ConfigError::at("by", text));
    }
    for index in 0..parts.len() {
        let (before, rest) = parts.split_at_mut(index);
        let Some(part) = rest.first_mut() else { break };
        let place = || format!("by[{index}]");
        if let Part::Header(name) = part {
            if !header::is_token(name) {
                let text = "is not a header name: use letters, digits and dashes";
                return Err(ConfigError::at(place(), text));
            }
            name.make_ascii_lowercase();
        }
        if before.contains(part) {
            return Err(ConfigError::at(place(), "stood before: name it once"));
        }
    }
    Ok(parts)
}

/// A String of structured fields (RFC 9651, 3.3.3) that needs no escapes.
fn policy(text: String) -> Result<String, ConfigError> {
    let plain = |c: char| (' '..='~').contains(&c) && c != '"' && c != '\\';
    if text.is_empty() || text.len() > MAX_POLICY || !text.chars().all(plain) {
        let wrong = "is no name: use 1 to 64 plain characters without quotes and backslashes";
        return Err(ConfigError::at("policy", wrong));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use swapgate_plugin::testing::Host;

    use crate::RateLimit;

    #[test]
    fn bad_configurations_name_the_place() {
        let table = [
            (
                r#"{"limit": 0, "window": "1s"}"#,
                "limit: is not between 1 and 1000000000",
            ),
            (
                r#"{"limit": 1, "window": "1"}"#,
                "window: has no unit that is known: use ms, s, m or h",
            ),
            (
                r#"{"limit": 1, "window": "s"}"#,
                "window: is no time: write a number and a unit, such as 500ms, 1s, 1m or 1h",
            ),
            (
                r#"{"limit": 1, "window": "0s"}"#,
                "window: is zero: give a time longer than that",
            ),
            (
                r#"{"limit": 1, "window": "8761h"}"#,
                "window: is longer than a year: give at most 8760h",
            ),
            (
                r#"{"limit": 1, "window": "99999999999999999h"}"#,
                "window: is longer than a year: give at most 8760h",
            ),
            (
                r#"{"limit": 1, "window": "1s", "by": "user"}"#,
                "by: expected consumer, address, route, service, {header: NAME}, or a list of them",
            ),
            (
                r#"{"limit": 1, "window": "1s", "by": []}"#,
                "by: is empty: name what to count by, or leave it out to count by consumer",
            ),
            (
                r#"{"limit": 1, "window": "1s", "by": [{"header": "x y"}]}"#,
                "by[0]: is not a header name: use letters, digits and dashes",
            ),
            (
                r#"{"limit": 1, "window": "1s", "by": [{"header": "X-A"}, "route", {"header": "x-a"}]}"#,
                "by[2]: stood before: name it once",
            ),
            (
                r#"{"limit": 1, "window": "1s", "algorithm": "sliding-window", "burst": 2}"#,
                "burst: is for algorithm token-bucket only: a sliding window has no burst beyond its limit, so leave it out",
            ),
            (
                r#"{"limit": 1, "window": "1s", "burst": 0}"#,
                "burst: is not between 1 and 1000000000",
            ),
            (
                r#"{"limit": 1, "window": "1s", "max_keys": 0}"#,
                "max_keys: is not between 1 and 100000000",
            ),
            (
                r#"{"limit": 1, "window": "1s", "policy": "a\"b"}"#,
                "policy: is no name: use 1 to 64 plain characters without quotes and backslashes",
            ),
            (
                r#"{"limit": 1, "window": "1s", "address_prefix": {"v4": 33}}"#,
                "address_prefix.v4: is more than an address has bits: 32 for v4, 128 for v6",
            ),
        ];
        let host = Host::of::<RateLimit>();
        for (config, expected) in table {
            let found = host.configure(config).map(drop);
            assert_eq!(found.unwrap_err(), expected, "{config}");
        }
    }

    #[test]
    fn every_form_of_by_is_taken() {
        let host = Host::of::<RateLimit>();
        for by in [
            r#""consumer""#,
            r#""address""#,
            r#"{"header": "x-tenant"}"#,
            r#"["service", "route"]"#,
            r#"["consumer", {"header": "x-tenant"}, {"header": "x-user"}]"#,
        ] {
            let config = format!(r#"{{"limit": 1, "window": "1m", "by": {by}}}"#);
            assert!(host.configure(&config).is_ok(), "{by}");
        }
    }
}
