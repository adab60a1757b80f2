//! Telling of what ended before anybody could serve it: heads that were never one, connections that broke the rules.

use std::net::SocketAddr;
use std::sync::Arc;

use super::guard::Ended;
use super::handshake::Version;
use super::http2::frames::Broken;
use crate::activity::{Activity, Overdue};
use crate::health::clock::now_ms;
use crate::local::Local;
use crate::refused::{Reason, Refused, shown};
use crate::snapshot::Speech;

/// Whose connection it is.
#[derive(Clone)]
pub(super) struct Whose {
    pub(super) listener: Arc<str>,
    pub(super) client: SocketAddr,
    pub(super) tls: bool,
    pub(super) version: Version,
}

/// What is told of a connection.
struct Told {
    reason: Reason,
    status: Option<u16>,
    why: String,
    rule: Option<&'static str>,
}

impl Whose {
    pub(super) fn new(speech: &Speech, client: SocketAddr, version: Version) -> Self {
        Self {
            listener: Arc::clone(&speech.listener),
            client,
            tls: speech.tls.is_some(),
            version,
        }
    }

    /// Tells how a connection ended, if it was refused.
    pub(super) fn ended(&self, worker: &Local, activity: &Activity, ended: &Ended) {
        let told = match self.version {
            Version::Http1 => head(activity, ended),
            Version::Http2 => frames(activity, ended),
        };
        if let Some(told) = told {
            let heard = activity.heard_of_none();
            self.note(worker, told, heard.as_deref());
        }
    }

    /// Tells that HTTP/1.1 came where only HTTP/2 is spoken.
    pub(super) fn speaks_another_version(&self, worker: &Local, first: &[u8]) {
        let told = Told {
            reason: Reason::Version,
            status: Some(505),
            why: "only HTTP/2 is spoken on this listener".to_owned(),
            rule: Some("RFC 9110, 15.6.6"),
        };
        self.note(worker, told, Some(first));
    }

    /// Tells of what was ended in HTTP/2 because of what the client did.
    pub(super) fn broke(&self, worker: &Local, broken: Broken) {
        let (what, code, rule) = match broken {
            Broken::Stream(code) => ("a stream was reset", code, "RFC 9113, 5.4.2"),
            Broken::Connection(code) => ("the connection was ended", code, "RFC 9113, 5.4.1"),
        };
        let told = Told {
            reason: match code {
                h2::Reason::ENHANCE_YOUR_CALM => Reason::Flood,
                _ => Reason::Http2,
            },
            status: None,
            why: format!("{what}: {}", code.description()),
            rule: Some(rule),
        };
        self.note(worker, told, None);
    }

    fn note(&self, worker: &Local, told: Told, heard: Option<&[u8]>) {
        let generation = worker.generation();
        let Some(snapshot) = generation.snapshot() else {
            return;
        };
        let kept = &snapshot.admission.refused;
        kept.note(told.reason, now_ms(), || Refused {
            listener: Arc::clone(&self.listener),
            client: self.client,
            protocol: match self.version {
                Version::Http1 => "HTTP/1",
                Version::Http2 => "HTTP/2",
            },
            tls: self.tls,
            status: told.status,
            why: told.why,
            rule: told.rule,
            request: heard.map(shown::of_bytes),
        });
    }
}

/// Of a head of HTTP/1: what the parser answered by itself, or that it did not come in time.
fn head(activity: &Activity, ended: &Ended) -> Option<Told> {
    let status = activity.answered_by_itself();
    let told = |reason, why: String, rule| {
        Some(Told {
            reason,
            status,
            why,
            rule: Some(rule),
        })
    };
    match (ended, status) {
        (Ended::Overdue(Overdue::Head), _) if activity.heard_of_none().is_some() => told(
            Reason::Slow,
            "the head did not come within client_timeouts.header".to_owned(),
            "RFC 9110, 15.5.9",
        ),
        (Ended::By(Err(error)), _) if error.is_parse_too_large() && status != Some(414) => told(
            Reason::HeadTooLarge,
            "the head has more fields or bytes than limits.headers or limits.header_bytes admits"
                .to_owned(),
            "RFC 6585, 5",
        ),
        (Ended::By(Err(error)), status) if error.is_parse() && status != Some(414) => told(
            Reason::Parser,
            format!("the head is malformed: {error}"),
            "RFC 9112, 2.2",
        ),
        // It was still heard out when the connection ended.
        (_, Some(431)) => told(
            Reason::HeadTooLarge,
            "the head is larger than limits.header_bytes".to_owned(),
            "RFC 6585, 5",
        ),
        (_, Some(414)) => told(
            Reason::TargetTooLong,
            "the request target is too long".to_owned(),
            "RFC 9110, 15.5.15",
        ),
        (_, Some(_)) => told(
            Reason::Parser,
            "the head is malformed".to_owned(),
            "RFC 9112, 2.2",
        ),
        _ => None,
    }
}

/// Of a connection that speaks HTTP/2: what no frame of the library told.
fn frames(activity: &Activity, ended: &Ended) -> Option<Told> {
    let told = |reason, why: &str, rule| {
        Some(Told {
            reason,
            status: None,
            why: why.to_owned(),
            rule: Some(rule),
        })
    };
    match ended {
        _ if activity.has_flooded() => told(
            Reason::Flood,
            "too many frames that ask for nothing",
            "RFC 9113, 10.5",
        ),
        Ended::Overdue(Overdue::Head) => told(
            Reason::Slow,
            "a head did not come within client_timeouts.header",
            "RFC 9110, 15.5.9",
        ),
        _ => None,
    }
}
