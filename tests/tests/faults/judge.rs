//! What may have become of requests while targets failed one after the other, and what may not.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use swapgate_tests::proxy::Strike;
use swapgate_tests::traffic::{Entry, Outcome};
use swapgate_tests::{Arrivals, Fault};

use super::trial::bound;

/// How much longer than its time-outs an exchange may take on a machine that is busy with other things.
const SLACK: Duration = Duration::from_secs(5);

/// The time in which one target failed.
pub(crate) struct Window {
    pub(crate) target: SocketAddr,
    pub(crate) from: Instant,
    pub(crate) until: Instant,
}

/// Everything that is known at the end.
pub(crate) struct Trial<'a> {
    /// What was sent, and what became of it.
    pub(crate) entries: &'a [Entry],
    /// When which target failed.
    pub(crate) windows: &'a [Window],
    /// Which requests went wrong at a proxy, if there were any.
    pub(crate) strikes: &'a [Strike],
    /// How often each request arrived.
    pub(crate) arrivals: &'a Arrivals,
    /// Whether the gateway may send again what is idempotent; where not, nothing arrives twice.
    pub(crate) sends_again: bool,
    /// The log of the gateway.
    pub(crate) log: &'a str,
}

impl Trial<'_> {
    /// Demands that nothing happened that must not, and tells what did.
    ///
    /// # Panics
    /// When something did.
    #[track_caller]
    pub(crate) fn judge(&self) {
        let struck: HashMap<&str, Fault> = self
            .strikes
            .iter()
            .map(|strike| (&*strike.nonce, strike.fault))
            .collect();
        let log = by_request(self.log);
        let judged = self.entries.iter().filter_map(|entry| {
            let fault = struck.get(&*entry.nonce).copied();
            let why = self.complaint(entry, fault, &log)?;
            Some(format!("{why}: {entry}, struck by {fault:?}"))
        });
        let wrong: Vec<String> = judged.collect();
        self.tell();
        assert!(
            wrong.is_empty(),
            "{} of {} requests: {:#?}",
            wrong.len(),
            self.entries.len(),
            wrong.iter().take(20).collect::<Vec<_>>()
        );
        for method in ["POST", "GET", "PUT"] {
            let twice = self.arrivals.repeated(method);
            let may = self.sends_again && method != "POST";
            assert!(may || twice.is_empty(), "{method} arrived twice: {twice:?}");
        }
    }

    /// What is wrong with the outcome of a request, if anything is.
    fn complaint(
        &self,
        entry: &Entry,
        struck: Option<Fault>,
        log: &HashMap<String, String>,
    ) -> Option<&'static str> {
        if entry.took > bound(self.sends_again, entry.is_idempotent()) + SLACK {
            return Some("took longer than its time-outs");
        }
        let arrived = self.arrivals.of(entry.method, &entry.nonce);
        // An answer whose head is out cannot be taken back.
        let broke_in_body = struck.is_some_and(Fault::is_in_body);
        match &entry.outcome {
            Outcome::Answered if arrived == 0 => Some("answered, and never arrived"),
            Outcome::Answered => None,
            Outcome::Torn(_) | Outcome::Closed if broke_in_body => None,
            Outcome::Refused(..) if self.sends_again && entry.is_idempotent() => {
                Some("an idempotent request was lost")
            }
            Outcome::Refused(_, Some(id)) => {
                let said = log.get(id).map_or("", String::as_str);
                let in_flight = struck.is_some() || self.failed_meanwhile(entry, said);
                (!in_flight).then_some("failed, and was in flight at no target that failed")
            }
            Outcome::Refused(_, None) => Some("a target answered so, or the gateway gave no id"),
            Outcome::Wrong(_) => Some("the answer to something else"),
            Outcome::Torn(_) => Some("broke off"),
            Outcome::Closed => Some("no answer at all"),
            Outcome::TimedOut => Some("hung"),
            Outcome::NotConnected => Some("the gateway took no connection"),
        }
    }

    /// Whether a target failed while the request was on its way that the log names for it.
    fn failed_meanwhile(&self, entry: &Entry, said: &str) -> bool {
        let ended = entry.began + entry.took;
        self.windows.iter().any(|window| {
            window.from <= ended
                && entry.began <= window.until
                && said.contains(&window.target.to_string())
        })
    }

    fn tell(&self) {
        let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
        for entry in self.entries {
            let what = match &entry.outcome {
                Outcome::Refused(status, _) => status.to_string(),
                Outcome::Torn(_) => "torn".to_owned(),
                other => format!("{other:?}").to_lowercase(),
            };
            *outcomes
                .entry(format!("{} {what}", entry.method))
                .or_default() += 1;
        }
        let mut times: Vec<Duration> = self.entries.iter().map(|entry| entry.took).collect();
        times.sort_unstable();
        let longest = times.last().copied().unwrap_or_default();
        let p99 = times
            .get(times.len() * 99 / 100)
            .copied()
            .unwrap_or_default();
        println!(
            "{} requests, p99 {p99:?}, longest {longest:?}: {outcomes:?}; idempotent ones sent again: {}",
            self.entries.len(),
            self.arrivals.repeated("GET").len() + self.arrivals.repeated("PUT").len(),
        );
    }
}

/// What the log says about each request, by its id.
fn by_request(log: &str) -> HashMap<String, String> {
    let mut said: HashMap<String, String> = HashMap::new();
    for line in log.lines() {
        let Ok(entry) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        if let Some(id) = entry["request_id"].as_str() {
            let text = said.entry(id.to_owned()).or_default();
            text.push_str(line);
        }
    }
    said
}
