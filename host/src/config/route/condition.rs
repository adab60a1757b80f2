//! Conditions of routes: headers, query, cookies, addresses and server names.

use std::collections::{BTreeMap, HashMap};

use super::{chain, parsed, unfit};
use crate::config::node::child;
use crate::config::raw::{RawRoute, RawValues};
use crate::config::validate::Checker;
use crate::config::value;
use crate::router::condition::{Conditions, FieldCondition, ValuePattern};
use crate::router::pattern::{HostPattern, PatternError};

/// Further conditions beside host, path and method.
pub(super) fn conditions(check: &mut Checker<'_>, at: &str, raw: &RawRoute) -> Conditions {
    let addresses = child(at, "addresses");
    Conditions {
        headers: fields(
            check,
            &child(at, "headers"),
            &raw.headers,
            FieldCondition::header,
        ),
        query: fields(check, &child(at, "query"), &raw.query, |name, values| {
            Ok(FieldCondition::new(name, values))
        }),
        cookies: fields(
            check,
            &child(at, "cookies"),
            &raw.cookies,
            |name, values| Ok(FieldCondition::new(name, values)),
        ),
        addresses: check.each(&addresses, &raw.addresses, value::network),
        snis: parsed(check, &child(at, "snis"), &raw.snis, |text| {
            HostPattern::parse(text).map_err(|e| chain(&e))
        }),
    }
}

/// Conditions on one kind of fields.
fn fields(
    check: &mut Checker<'_>,
    at: &str,
    raw: &BTreeMap<String, RawValues>,
    make: impl Fn(&str, Vec<ValuePattern>) -> Result<FieldCondition, PatternError>,
) -> Vec<FieldCondition> {
    let mut out = Vec::new();
    let mut seen: HashMap<String, String> = HashMap::new();
    for (name, raw) in raw {
        let pointer = child(at, name);
        let single = matches!(raw, RawValues::One(_));
        let mut values = Vec::new();
        for (i, text) in raw.texts().iter().enumerate() {
            let place = if single {
                pointer.clone()
            } else {
                child(&pointer, &i.to_string())
            };
            if check.is_filled(&place) {
                values.push(ValuePattern::secret(text));
                continue;
            }
            match ValuePattern::parse(text) {
                Ok(value) => values.push(value),
                Err(why) => unfit(check, &place, &chain(&why)),
            }
        }
        match make(name, values) {
            Ok(condition) => out.push(condition),
            Err(why) => unfit(check, &pointer, &chain(&why)),
        }
        // Only names of headers are the same in upper and lower case.
        if at.ends_with("/headers")
            && let Some(first) = seen.insert(name.to_ascii_lowercase(), pointer.clone())
        {
            check.twice(
                &pointer,
                "this header is named already by",
                &first,
                "keep one of the two",
            );
        }
    }
    out
}
