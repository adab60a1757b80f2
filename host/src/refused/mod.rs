//! What the gateway refused because of what it is: counted by reason, and the last of it kept to be looked at.
//!
//! - `reason`: why;
//! - [`mod@shown`]: what is shown of a request, which is nothing that could be a secret.
//!
//! Refusing must stay cheap, for it is what is done under attack. So each is counted with one addition, and no more than
//! [`A_SECOND`] in a second are kept, with one short lock each; those beyond are counted with another addition. What plugins and routes refuse (401, 403, 404) and what is turned
//! away for want of room (429, 503) is not here: those have counts of their own.

mod reason;
pub mod shown;

pub use reason::Reason;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::health::clock::unix_ms;
use crate::metrics::names;
use crate::metrics::page::{Family, Page};
use crate::metrics::tally::Label as _;
use shown::Shown;

/// How many are kept in one second at the most.
pub const A_SECOND: u32 = 64;
/// Longest sentence that is kept.
const WHY: usize = 256;

/// Something that was refused.
#[derive(Debug)]
pub struct Refused {
    /// The listener it came to.
    pub listener: Arc<str>,
    /// Who sent it.
    pub client: SocketAddr,
    /// What was spoken.
    pub protocol: &'static str,
    /// Whether in TLS.
    pub tls: bool,
    /// What was answered; none where the connection or the stream ended without an answer.
    pub status: Option<u16>,
    /// One sentence.
    pub why: String,
    /// Where it is written.
    pub rule: Option<&'static str>,
    /// The beginning of it, where it is known.
    pub request: Option<Shown>,
}

/// The last ones, and how many there were.
#[derive(Debug, Default)]
pub struct Kept {
    most: AtomicUsize,
    list: Mutex<VecDeque<(u64, Reason, Refused)>>,
    counts: [AtomicU64; Reason::COUNT],
    second: AtomicU64,
    in_second: AtomicU32,
    left_out: AtomicU64,
}

impl Kept {
    /// From now on so many are kept.
    pub fn keep(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Whether any is kept.
    #[must_use]
    pub fn keeps(&self) -> bool {
        self.most.load(Ordering::Relaxed) > 0
    }

    /// Counts one, and keeps it if it is not one of too many in a second. `now_ms` is of [`crate::health::clock`].
    pub fn note(&self, reason: Reason, now_ms: u64, make: impl FnOnce() -> Refused) {
        if let Some(count) = self.counts.get(reason.place()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let most = self.most.load(Ordering::Relaxed);
        if most == 0 {
            return;
        }
        let second = now_ms / 1000;
        if !self.fits(second) {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut refused = make();
        if let Some((end, _)) = refused.why.char_indices().nth(WHY) {
            refused.why.truncate(end);
        }
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.truncate(most.saturating_sub(1));
        list.push_front((now_ms, reason, refused));
    }

    /// Whether not too many were kept in this second.
    fn fits(&self, second: u64) -> bool {
        let relaxed = Ordering::Relaxed;
        let known = self.second.load(relaxed);
        // A worker may look at the clock less often than another; it does not take the second back.
        if second > known
            && self
                .second
                .compare_exchange(known, second, relaxed, relaxed)
                .is_ok()
        {
            self.in_second.store(0, relaxed);
        }
        // In a flood this is read by all and written by none.
        self.in_second.load(relaxed) < A_SECOND && self.in_second.fetch_add(1, relaxed) < A_SECOND
    }

    /// How many there were for this reason.
    #[must_use]
    pub fn count(&self, reason: Reason) -> u64 {
        let count = self.counts.get(reason.place());
        count.map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// What `/refused` answers: the newest first.
    #[must_use]
    pub fn document(&self) -> Value {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let shown: Vec<Value> = list.iter().map(one).collect();
        drop(list);
        json!({
            "keeps": self.most.load(Ordering::Relaxed),
            "left_out": self.left_out.load(Ordering::Relaxed),
            "refused": shown,
        })
    }

    /// Shows the counts.
    pub fn show(&self, page: &mut Page) {
        let mut family = Family::of(&names::REFUSED_REQUESTS);
        for (reason, name) in Reason::ALL {
            family.count(&[name], self.count(*reason));
        }
        page.add(family);
    }
}

fn one((at_ms, reason, refused): &(u64, Reason, Refused)) -> Value {
    let name = Reason::ALL.get(reason.place()).map(|(_, name)| *name);
    json!({
        "at_unix_ms": unix_ms(*at_ms),
        "listener": &*refused.listener,
        "client": refused.client.to_string(),
        "protocol": refused.protocol,
        "tls": refused.tls,
        "status": refused.status,
        "reason": name,
        "why": refused.why,
        "rule": refused.rule,
        "request": refused.request.as_ref().map(|shown| json!({
            "line": shown.line,
            "headers": shown.headers,
            "cut": shown.cut,
        })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(why: &str) -> Refused {
        Refused {
            listener: Arc::from("public"),
            client: SocketAddr::from(([192, 0, 2, 1], 5000)),
            protocol: "HTTP/1.1",
            tls: false,
            status: Some(400),
            why: why.to_owned(),
            rule: Some("RFC 9112, 3.2"),
            request: Some(shown::of_bytes(b"GET /?a=secret HTTP/1.1\r\n")),
        }
    }

    #[test]
    fn the_newest_comes_first_and_the_oldest_goes() {
        let kept = Kept::default();
        kept.note(Reason::Host, 1, || unreachable!("none is kept"));
        kept.keep(2);
        for why in ["one", "two", "three"] {
            kept.note(Reason::Host, 1, || refused(why));
        }
        let document = kept.document();
        let list = document["refused"].as_array().unwrap();
        let told: Vec<&str> = list.iter().filter_map(|one| one["why"].as_str()).collect();
        assert_eq!(told, ["three", "two"]);
        assert_eq!(list[0]["reason"], "host");
        assert_eq!(list[0]["request"]["line"], "GET /?a=*** HTTP/1.1");
        assert_eq!(kept.count(Reason::Host), 4);
        assert_eq!(kept.count(Reason::Target), 0);
    }

    #[test]
    fn a_clock_that_is_behind_does_not_begin_a_second_anew() {
        let kept = Kept::default();
        kept.keep(1000);
        for now_ms in [7_999, 8_000].into_iter().cycle().take(500) {
            kept.note(Reason::Parser, now_ms, || refused("flood"));
        }
        let document = kept.document();
        let list = document["refused"].as_array().unwrap();
        assert_eq!(list.len(), 65, "one, and those of the later second");
    }

    #[test]
    fn a_flood_is_counted_and_not_kept() {
        let kept = Kept::default();
        kept.keep(1000);
        for _ in 0..500 {
            kept.note(Reason::Parser, 7_000, || refused("flood"));
        }
        kept.note(Reason::Parser, 8_000, || refused(&"x".repeat(1000)));
        let document = kept.document();
        let list = document["refused"].as_array().unwrap();
        assert_eq!(list.len(), 65);
        assert_eq!(list[0]["why"].as_str().map(str::len), Some(WHY));
        assert_eq!(document["left_out"], 436);
        assert_eq!(kept.count(Reason::Parser), 501);
    }
}
