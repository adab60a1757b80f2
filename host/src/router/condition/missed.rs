//! Which conditions do not hold, in words. For people who ask, so it may take its time.

use super::read::{Buffer, cookies, decoded, pairs};
use super::{Conditions, FieldCondition, Name, ValuePattern};
use crate::router::table::Request;

/// Most of a value that is shown, in characters.
const SHOWN: usize = 100;

impl Conditions {
    /// What does not hold, each in words; empty where all hold.
    #[must_use]
    pub fn missed(&self, request: &Request<'_>) -> Vec<String> {
        let mut missed = Vec::new();
        for field in &self.headers {
            let values = match &field.name {
                Name::Header(name) => request.headers.get_all(name),
                Name::Text(name) => request.headers.get_all(&**name),
            };
            let values = values.iter().map(|value| value.as_bytes().to_vec());
            missed.extend(field.missed("header", &values.collect::<Vec<_>>()));
        }
        for field in &self.query {
            let plain = |text| decoded(text, &mut Buffer::new()).to_vec();
            let same =
                pairs(request.query).filter(|(name, _)| plain(name) == field.name().as_bytes());
            let values: Vec<_> = same.map(|(_, value)| plain(value)).collect();
            missed.extend(field.missed("query parameter", &values));
        }
        for field in &self.cookies {
            let same =
                cookies(request.headers).filter(|(name, _)| *name == field.name().as_bytes());
            let values: Vec<_> = same.map(|(_, value)| value.to_vec()).collect();
            missed.extend(field.missed("cookie", &values));
        }
        if !self.addresses.is_empty() && !self.admit(request.client) {
            let nets: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
            missed.push(format!(
                "the client {} is not in {}",
                request.client,
                nets.join(" or ")
            ));
        }
        if !self.snis.is_empty() && !self.know(request.sni) {
            let names: Vec<String> = self.snis.iter().map(ToString::to_string).collect();
            let found = request.sni.map_or("there is none".to_owned(), |name| {
                format!("it is {}", quoted(name.as_bytes()))
            });
            let wanted = names.join(" or ");
            missed.push(format!("the TLS server name should be {wanted}, {found}"));
        }
        missed
    }
}

impl FieldCondition {
    fn missed(&self, kind: &str, values: &[Vec<u8>]) -> Option<String> {
        if values.iter().any(|value| self.takes(value)) {
            return None;
        }
        let name = self.name();
        if values.is_empty() {
            return Some(format!("the {kind} {name} is not there"));
        }
        // Where a secret is asked for, what was sent may be one as well: last week's, or the same with one letter too many.
        let found = if self.values.iter().any(ValuePattern::is_secret) {
            "has another value".to_owned()
        } else {
            let found: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            format!("is {}", found.join(" and "))
        };
        let wanted = self.values.iter().map(|value| {
            if value.is_secret() {
                value.to_string()
            } else {
                format!("'{value}'")
            }
        });
        let wanted: Vec<String> = wanted.collect();
        Some(format!(
            "the {kind} {name} {found}, it wants {}",
            wanted.join(" or ")
        ))
    }
}

fn quoted(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    format!("'{shown}'")
}
