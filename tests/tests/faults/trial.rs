//! A gateway before three targets that fail one after the other, and what is measured of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use swapgate_tests::process::{anonymous_bytes, descriptors};
use swapgate_tests::{Gateway, eventually};

/// Long enough for a machine that is busy with other things: a target that is well must not be late. What hangs ends with
/// the fault, long before most of it.
const TIMEOUT: Duration = Duration::from_secs(2);

/// All pauses between the attempts of a request together, and more.
const PAUSES: Duration = Duration::from_millis(100);

/// The longest that an exchange takes by its time-outs. However often it is tried to be connected, what is not sent again
/// waits for one head; and every answer may fall silent once, within its body.
pub(crate) fn bound(sends_again: bool, is_idempotent: bool) -> Duration {
    let (connects, heads) = match (sends_again, is_idempotent) {
        (true, true) => (3, 3),
        (true, false) => (3, 1),
        // One target fails at a time, so that the second connect is the last one.
        (false, _) => (2, 1),
    };
    TIMEOUT * (connects + heads + 1) + PAUSES
}

/// Targets are watched. Everything is short, so that many faults fit into a minute.
pub(crate) const WATCHED: &str = "health: {\
    active: {type: http, path: /healthz, interval: 50ms, timeout: 250ms, healthy: 1, unhealthy: 2}, \
    passive: {failures: 3, eject: 50ms, max_eject: 100ms}}";

/// What may be sent again is.
pub(crate) const SENDS_AGAIN: &str = "retries: {\
    attempts: 2, on: [connect, reset, timeout], budget: 100, backoff: 1ms, max_backoff: 10ms}";

/// A gateway before these, with these settings of the upstream and of the service.
#[must_use]
pub(crate) fn gateway(targets: &[SocketAddr], upstream: &str, service: &str) -> Gateway {
    let limit = format!("{}s", TIMEOUT.as_secs());
    let targets: Vec<String> = targets
        .iter()
        .map(|address| format!("{{address: \"{address}\"}}"))
        .collect();
    Gateway::with(&format!(
        "\
workers: 2
upstreams:
  - name: up
    targets: [{}]
    {upstream}
services:
  - name: up
    upstream: up
    timeouts: {{connect: {limit}, response: {limit}, idle: {limit}}}
    {service}
routes: [{{name: all, service: up}}]
",
        targets.join(", ")
    ))
    .start()
}

/// Waits until a target is in rotation, or out of it.
#[track_caller]
pub(crate) fn wait_until_up(gateway: &Gateway, target: SocketAddr, up: bool) {
    let series = format!("swapgate_upstream_target_up{{upstream=\"up\",target=\"{target}\"}}");
    gateway.wait_for_metric(&series, f64::from(u8::from(up)));
}

/// What each fault cost until the target was out of rotation, and until it was back.
#[derive(Default)]
pub(crate) struct Times(BTreeMap<String, Vec<(Option<Duration>, Duration)>>);

impl Times {
    pub(crate) fn note(&mut self, fault: String, out: Option<Duration>, back: Duration) {
        self.0.entry(fault).or_default().push((out, back));
    }

    /// Prints them: how long it takes is measured, and not asserted.
    pub(crate) fn tell(&self) {
        for (fault, times) in &self.0 {
            let out: Vec<Duration> = times.iter().filter_map(|(out, _)| *out).collect();
            let back: Vec<Duration> = times.iter().map(|(_, back)| *back).collect();
            let count = times.len();
            println!(
                "{fault:>18} {count:>3} times; out {}; back {}",
                of(out),
                of(back)
            );
        }
        let all = || self.0.values().flatten();
        let out: Vec<Duration> = all().filter_map(|(out, _)| *out).collect();
        let back: Vec<Duration> = all().map(|(_, back)| *back).collect();
        println!(
            "{:>18} {:>3} times; out {}; back {}",
            "all",
            back.len(),
            of(out),
            of(back)
        );
    }
}

fn of(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let Some((middle, longest)) = times.get(times.len() / 2).zip(times.last()) else {
        return "never".to_owned();
    };
    format!(
        "{} ms, at most {} ms",
        middle.as_millis(),
        longest.as_millis()
    )
}

/// Descriptors and memory of a gateway at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) descriptors: usize,
    pub(crate) memory: u64,
}

impl Held {
    pub(crate) fn by(gateway: &Gateway) -> Self {
        Self {
            descriptors: descriptors(gateway.pid()),
            memory: anonymous_bytes(gateway.pid()),
        }
    }

    /// Demands that descriptors come back to what they were before any request, and memory to what it was once
    /// everything had happened a few times.
    ///
    /// # Panics
    /// When they do not in time.
    #[track_caller]
    pub(crate) fn assert_back(gateway: &Gateway, idle: usize, warm: u64) {
        let room = warm / 10;
        eventually!(
            Self::by(gateway).descriptors <= idle,
            "descriptors to be back at {idle}: {:?}",
            Self::by(gateway)
        );
        eventually!(
            Self::by(gateway).memory <= warm + room,
            "memory to be back at {warm}: {:?}",
            Self::by(gateway)
        );
        println!(
            "descriptors {idle} before; memory {warm} warm; now {:?}",
            Self::by(gateway)
        );
    }
}

/// How long something took.
pub(crate) fn timed(what: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    what();
    begun.elapsed()
}
