//! Asks every contestant whether it does its work, before it is measured.

use std::time::Duration;

use serde_json::Value;

use crate::failure::{Context, Failure, Outcome};
use crate::http::{self, Answer};
use crate::load::Report;

use super::bed::{Bed, Running};
use super::contestants::{Contestant, Setting, Work};
use super::scenarios::Over;

const KEY: (&str, &str) = ("x-api-key", "key-of-alice");
/// What the upstream is told about the client.
const FORWARDING: [&str; 6] = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
];
/// What every handshake has to come to, but for the protocol.
const AGREED: &str = "TLSv1_3 TLS13_AES_128_GCM_SHA256 X25519";
/// How long a moment of a load may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// Starts it with a small limit, asks, and ends it.
pub(crate) fn check(bed: &Bed<'_>, contestant: &'static Contestant) -> Outcome<()> {
    let setting = Setting::checked();
    let running = bed.start(contestant, setting)?;
    let asked = Asked {
        bed,
        running: &running,
        limit: setting.limit,
    };
    asked.all().map_err(|failure| {
        Failure::new(format!(
            "{} does not do its work, so it is not measured: {failure}",
            contestant.name
        ))
    })
}

struct Asked<'a> {
    bed: &'a Bed<'a>,
    running: &'a Running,
    limit: u64,
}

impl Asked<'_> {
    fn all(&self) -> Outcome<()> {
        let work = self.running.contestant.work;
        if work == Work::Jobs {
            self.refuses()?;
        }
        let seen = self.passes()?;
        if work != Work::Bare {
            for name in FORWARDING {
                must(seen["headers"][name].is_string(), || {
                    format!("the upstream is not told {name}")
                })?;
            }
        }
        if work == Work::Jobs {
            edits(&seen["headers"])?;
            self.limits()?;
        }
        if self.running.contestant.protocols {
            self.protocols()?;
        }
        Ok(())
    }

    /// HTTP/1.1 and HTTP/2 over the TLS that all are to speak, and WebSocket.
    fn protocols(&self) -> Outcome<()> {
        for (words, protocol) in [(&[][..], "http/1.1"), (&["--streams", "2"], "h2")] {
            let words = [&["--path", "/echo", "--show"], words].concat();
            let report = self.load(Over::Tls, &words)?;
            let (agreed, expected) = (report.words("agreed"), format!("{AGREED} {protocol}"));
            must(agreed == expected, || {
                format!("a handshake that should agree on {expected} agreed on {agreed}")
            })?;
            if self.running.contestant.work != Work::Bare {
                let seen: Value = serde_json::from_str(report.words("body"))
                    .context("what the upstream saw cannot be read")?;
                let scheme = &seen["headers"]["x-forwarded-proto"];
                must(scheme == "https", || {
                    format!("the upstream is told that TLS is {scheme}")
                })?;
            }
        }
        self.load(
            Over::WebSocket,
            &["--path", "/websocket", "--websocket", "64"],
        )
        .map(drop)
    }

    /// A moment of a load, in which nothing may fail. What comes back over TLS and through WebSockets is compared by it.
    fn load(&self, over: Over, words: &[&str]) -> Outcome<Report> {
        let moment = ["--connections", "1", "--seconds", "0.1"];
        let words: Vec<String> = [words, &moment]
            .concat()
            .iter()
            .map(|word| (*word).to_owned())
            .collect();
        let report = self.bed.load(self.running, over, &words)?.wait(PATIENCE)?;
        let good = report.count("requests") > 0 && report.count("failures") == 0;
        must(good, || {
            let reason = report.reasons().next().unwrap_or("nothing came back");
            format!("{}: {reason}", words.join(" "))
        })?;
        Ok(report)
    }

    fn ask(&self, headers: &[(&str, &str)]) -> Outcome<Answer> {
        http::get(&self.running.address, "/echo", headers).context("it does not answer")
    }

    fn refuses(&self) -> Outcome<()> {
        for headers in [&[][..], &[("x-api-key", "key-of-nobody")]] {
            let status = self.ask(headers)?.status;
            must(status == 401, || {
                format!("a request without a known key is answered with {status}")
            })?;
        }
        Ok(())
    }

    /// A good request; what the upstream saw of it.
    fn passes(&self) -> Outcome<Value> {
        let answer = self.ask(&[KEY, ("x-debug", "1")])?;
        must(answer.status == 200, || {
            format!("a good request is answered with {}", answer.status)
        })?;
        if self.running.contestant.work == Work::Jobs {
            let served = answer.headers.get("x-served-by").map(String::as_str);
            must(served == Some("gateway"), || {
                String::from("the answer has no x-served-by")
            })?;
        }
        serde_json::from_str(&answer.body).context("what the upstream saw cannot be read")
    }

    /// One has passed already; refused ones do not count.
    fn limits(&self) -> Outcome<()> {
        for number in 2..=self.limit {
            let status = self.ask(&[KEY])?.status;
            must(status == 200, || {
                format!("request {number} within the limit is answered with {status}")
            })?;
        }
        let status = self.ask(&[KEY])?.status;
        must(status == 429, || {
            format!("a request beyond the limit is answered with {status}")
        })
    }
}

fn edits(seen: &Value) -> Outcome<()> {
    for (name, value) in [("x-consumer", "alice"), ("x-seen-by", "gateway")] {
        must(seen[name] == value, || {
            format!("the upstream sees {} as {name}", seen[name])
        })?;
    }
    for name in ["x-debug", "x-api-key"] {
        must(seen[name].is_null(), || format!("the upstream sees {name}"))?;
    }
    Ok(())
}

fn must(good: bool, else_: impl FnOnce() -> String) -> Outcome<()> {
    if good {
        Ok(())
    } else {
        Err(Failure::new(else_()))
    }
}
