//! The headers, as structured fields (RFC 9651) of draft-ietf-httpapi-ratelimit-headers-11, and the answer 429.
//!
//! ```text
//! RateLimit-Policy: "default";q=100;w=60
//! RateLimit: "default";r=50;t=1
//! ```
//!
//! `q` is the quota and `w` the window in whole seconds, left out where it is none; `r` is what is left, and `t` the time
//! in which no more than that can be used, in seconds rounded up. A burst that differs from the quota stands in a
//! parameter of our own, as the draft asks (3.1).

use std::io::Write;

use swapgate_plugin::{Response, serde_json};

use crate::rule::Verdict;
use crate::settings::Settings;

/// Room for the longest value: a name of 64 bytes and two numbers.
const ROOM: usize = 128;

/// What never changes of the headers and the answer.
#[derive(Debug)]
pub(crate) struct Fields {
    /// The value of RateLimit-Policy.
    pub(crate) policy: String,
    /// `"name";r=`
    begin: String,
    /// The body of a 429.
    problem: String,
}

impl Fields {
    pub(crate) fn new(settings: &Settings) -> Self {
        let name = &settings.policy;
        let mut policy = format!("\"{name}\";q={}", settings.limit);
        if settings.window_ms.is_multiple_of(1000) {
            policy.push_str(&format!(";w={}", settings.window_ms / 1000));
        }
        if let Some(burst) = settings.burst {
            policy.push_str(&format!(";swapgate-burst={burst}"));
        }
        let problem = serde_json::json!({
            "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
            "title": "Too Many Requests",
            "status": 429,
            "detail": "this client has used up its requests: wait as long as Retry-After says",
            "violated-policies": [name],
        });
        Self {
            policy,
            begin: format!("\"{name}\";r="),
            problem: problem.to_string(),
        }
    }

    /// The value of RateLimit, handed to `take`. On the stack, because it is made for every answer.
    pub(crate) fn rate_limit<T>(&self, verdict: Verdict, take: impl FnOnce(&[u8]) -> T) -> T {
        let mut room = [0; ROOM];
        let mut rest = room.as_mut_slice();
        let (left, seconds) = (verdict.remaining, seconds(verdict.wait));
        // The room is enough for the longest of all.
        let _ = write!(rest, "{}{left};t={seconds}", self.begin);
        let written = ROOM - rest.len();
        take(room.get(..written).unwrap_or_default())
    }

    /// The answer to a request that may not pass. The header filter adds the other two headers to it.
    pub(crate) fn refusal(&self, verdict: Verdict) -> Response {
        Response::new(429)
            .header("content-type", "application/problem+json")
            .header("retry-after", seconds(verdict.wait).to_string())
            .body(self.problem.as_bytes())
    }
}

/// Rounded up (RFC 9110, 10.2.3 knows whole seconds only): who comes at that time must not come too early.
fn seconds(nanoseconds: u64) -> u64 {
    nanoseconds.div_ceil(1_000_000_000)
}
