//! What is known of the certificates that a listener shows: for the admin listener, and for who has to replace them.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Value, json};

use super::facts::{Facts, Moment};
use super::ocsp::{Answer, State};
use crate::config::ConfigError;
use crate::config::ready::Certificate;

/// How long before its end a certificate is spoken of. One that lives for a shorter time than six times this, by a sixth
/// of its life: such are replaced every few days.
const SOON_S: i64 = 14 * 24 * 3600;

/// A certificate that a listener shows.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Where it comes from.
    pub files: Certificate,
    /// What it says.
    pub facts: Facts,
    /// `rsa`, `ecdsa` or `ed25519`.
    pub kind: &'static str,
    /// What its authority says of it, where a file has that: none where that is about another certificate.
    pub ocsp: Option<Option<Answer>>,
    /// What an operator should know, whatever the time.
    pub notes: Vec<String>,
}

/// One of them, for the metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Expiry {
    /// The listener.
    pub listener: String,
    /// The first name the certificate is for; the name of its file where it is for none.
    pub name: String,
    /// When it ends, in seconds since 1970.
    pub unix_s: i64,
}

impl Shown {
    /// The first name it is for, or that of its file.
    #[must_use]
    pub fn name(&self) -> String {
        let file = || {
            let name = self.files.certificate.path.file_name();
            name.map(|name| name.to_string_lossy().into_owned())
        };
        let first = self.facts.names.first().cloned();
        first.or_else(file).unwrap_or_default()
    }

    /// As `/status` shows it.
    #[must_use]
    pub fn document(&self) -> Value {
        let path = |path: &PathBuf| path.display().to_string();
        json!({
            "names": self.facts.names,
            "key": self.kind,
            "not_before": self.facts.not_before.to_string(),
            "not_after": self.facts.not_after.to_string(),
            "not_after_unix_s": self.facts.not_after.unix_s,
            "fingerprint": self.facts.fingerprint,
            "file": path(&self.files.certificate.path),
            "ocsp": self.ocsp.as_ref().map(|answer| ocsp(answer.as_ref())),
        })
    }

    /// What an operator should know now.
    pub fn warnings(&self, now: Moment) -> impl Iterator<Item = String> {
        let validity = self.validity(now);
        let ocsp = self
            .ocsp
            .as_ref()
            .and_then(|answer| self.staleness(answer.as_ref(), now));
        self.notes.iter().cloned().chain(validity).chain(ocsp)
    }

    fn validity(&self, now: Moment) -> Option<String> {
        let Facts {
            not_before,
            not_after,
            ..
        } = self.facts;
        let life = not_after.unix_s.saturating_sub(not_before.unix_s);
        let soon = SOON_S.min(life / 6);
        let (problem, advice) = if not_after < now {
            (
                format!("ended on {not_after}: clients will refuse it"),
                "replace it",
            )
        } else if not_before > now {
            let problem =
                format!("is good from {not_before} on only: clients refuse it until then");
            (problem, "look at the clock of this machine, or replace it")
        } else if not_after.unix_s.saturating_sub(now.unix_s) < soon {
            (format!("ends on {not_after}"), "replace it before that")
        } else {
            return None;
        };
        let file = &self.files.certificate;
        let path = file.path.display();
        let problem = format!("the certificate in {path} {problem}");
        Some(
            ConfigError::new(file.place.clone(), problem)
                .advice(advice)
                .to_string(),
        )
    }

    fn staleness(&self, answer: Option<&Answer>, now: Moment) -> Option<String> {
        let file = self.files.ocsp.as_ref()?;
        let path = file.path.display();
        let (problem, advice) = match answer {
            None => (
                format!("{path} is about another certificate and is not shown"),
                "ask the responder about this one",
            ),
            Some(Answer {
                next_update: Some(end),
                ..
            }) if *end < now => (
                format!("{path} was good until {end} and is not shown any more"),
                "ask the responder again",
            ),
            Some(Answer {
                state: State::Revoked,
                ..
            }) => (
                format!("{path} says that the certificate is revoked: clients will refuse it"),
                "replace the certificate",
            ),
            Some(_) => return None,
        };
        Some(
            ConfigError::new(file.place.clone(), problem)
                .advice(advice)
                .to_string(),
        )
    }

    /// Whether what its authority says may be shown: it is about this certificate, and not too old.
    #[must_use]
    pub fn is_stapled(&self, now: Moment) -> bool {
        let answer = self.ocsp.as_ref().and_then(Option::as_ref);
        answer.is_some_and(|answer| answer.next_update.is_none_or(|end| end >= now))
    }
}

fn ocsp(answer: Option<&Answer>) -> Value {
    let Some(Answer { state, next_update }) = answer else {
        return json!({ "state": "of another certificate" });
    };
    let state = match state {
        State::Good => "good",
        State::Revoked => "revoked",
        State::Unknown => "unknown",
    };
    let until = next_update.map(|until| until.to_string());
    json!({ "state": state, "until": until })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::ready::{NamedFile, Place};

    const DAY: i64 = 24 * 3600;

    fn file(name: &str) -> NamedFile {
        NamedFile {
            path: PathBuf::from(name),
            place: Place {
                file: Arc::from("gate.yaml"),
                line: 3,
                column: 7,
                key: "listeners[0].tls".to_owned(),
            },
        }
    }

    /// A certificate that is good from day 1000 for so many days.
    fn good_for(days: i64, ocsp: Option<Option<Answer>>) -> Shown {
        Shown {
            files: Certificate {
                certificate: file("a.pem"),
                key: file("a.key"),
                ocsp: Some(file("a.ocsp")),
            },
            facts: Facts {
                names: vec!["a.example".to_owned()],
                not_before: at(1000),
                not_after: at(1000 + days),
                fingerprint: String::new(),
                serial: Vec::new(),
            },
            kind: "ecdsa",
            ocsp,
            notes: Vec::new(),
        }
    }

    fn at(day: i64) -> Moment {
        Moment { unix_s: day * DAY }
    }

    fn said(shown: &Shown, day: i64) -> String {
        shown.warnings(at(day)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn an_end_is_spoken_of_in_time() {
        let quarter = good_for(90, None);
        assert!(said(&quarter, 999).contains("is good from 1972-09-27T00:00:00Z on only"));
        assert_eq!(said(&quarter, 1000), "");
        assert_eq!(said(&quarter, 1076), "");
        assert_eq!(
            said(&quarter, 1077),
            "gate.yaml:3:7: listeners[0].tls: the certificate in a.pem ends on 1972-12-26T00:00:00Z; replace it before that"
        );
        assert!(
            said(&quarter, 1091).contains("ended on 1972-12-26T00:00:00Z: clients will refuse it")
        );
        let week = good_for(6, None);
        assert_eq!(said(&week, 1005), "");
        assert!(said(&good_for(12, None), 1011).contains("ends on"));
    }

    #[test]
    fn an_answer_is_shown_for_as_long_as_it_is_good() {
        let answer = |state, until: Option<i64>| {
            let next_update = until.map(at);
            good_for(365, Some(Some(Answer { state, next_update })))
        };
        let fresh = answer(State::Good, Some(1010));
        assert!(fresh.is_stapled(at(1010)) && said(&fresh, 1010).is_empty());
        assert!(!fresh.is_stapled(at(1011)));
        assert!(said(&fresh, 1011).contains("a.ocsp was good until 1972-10-07T00:00:00Z"));
        assert!(answer(State::Good, None).is_stapled(at(1300)));
        assert!(said(&answer(State::Revoked, None), 1001).contains("is revoked"));
        let other = good_for(365, Some(None));
        assert!(!other.is_stapled(at(1001)));
        assert!(said(&other, 1001).contains("is about another certificate"));
        assert!(!good_for(365, None).is_stapled(at(1001)));
    }
}
