//! What came, against what was expected: one sentence for each difference.

use std::collections::BTreeMap;

use http::HeaderMap;
use hyper::body::Bytes;
use regex_automata::meta::Regex;
use serde_json::Value;

use super::raw::{Expect, Forwarded};
use super::trace::Trace;
use super::upstream::Received;

/// What became of one request.
pub(super) struct Outcome {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) received: Vec<Received>,
    pub(super) trace: Trace,
}

/// A difference: where in the expectation, as a JSON pointer below it, and what it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) pointer: String,
    pub(super) text: String,
}

/// Everything that differs.
pub(super) fn compare(expect: &Expect, outcome: &Outcome) -> Vec<Difference> {
    let mut found = Found::default();
    if let Some(status) = expect.status
        && status != outcome.status
    {
        let why = outcome.trace.errors.join("; ");
        let why = if why.is_empty() {
            why
        } else {
            format!(" (the plugin said: {why})")
        };
        found.add(
            "/status",
            format!("the status is {}, not {status}{why}", outcome.status),
        );
    }
    found.headers(
        "/headers",
        "the answer's header",
        &expect.headers,
        &outcome.headers,
    );
    found.body(
        "/body",
        "the answer's body",
        expect.body.as_deref(),
        &outcome.body,
    );
    if let Some(json) = &expect.json {
        let body: Option<Value> = serde_json::from_slice(&outcome.body).ok();
        if body.as_ref() != Some(json) {
            let is = text_of(&outcome.body);
            found.add(
                "/json",
                format!("the answer's body is {is:?}, not {json} as JSON"),
            );
        }
    }
    upstream(expect, outcome, &mut found);
    let trace = &outcome.trace;
    found.texts("/vars", "the variable", &expect.vars, &trace.vars);
    found.texts(
        "/hooks",
        "what was answered by the hook",
        &expect.hooks,
        &trace.hooks,
    );
    if let Some(consumer) = &expect.consumer
        && !matches(consumer, &trace.consumer)
    {
        found.add(
            "/consumer",
            format!("the consumer is {:?}, not {consumer:?}", trace.consumer),
        );
    }
    for (index, wanted) in expect.log.iter().enumerate() {
        if !trace.log.iter().any(|line| line.contains(wanted)) {
            let lines = trace.log.join(" | ");
            found.add(
                &format!("/log/{index}"),
                format!("no line of the plugin's log contains {wanted:?}; it has: {lines:?}"),
            );
        }
    }
    found.0
}

fn upstream(expect: &Expect, outcome: &Outcome, found: &mut Found) {
    let reached = outcome.received.last();
    if let Some(wanted) = expect.reached_upstream
        && wanted != reached.is_some()
    {
        let text = if wanted {
            format!(
                "the request did not reach the upstream; the answer was {}",
                outcome.status
            )
        } else {
            "the request reached the upstream".to_owned()
        };
        found.add("/reached_upstream", text);
    }
    let Some(wanted) = &expect.forwarded else {
        return;
    };
    match reached {
        Some(reached) => forwarded(wanted, reached, found),
        None => found.add(
            "/forwarded",
            format!(
                "nothing reached the upstream; the answer was {}",
                outcome.status
            ),
        ),
    }
}

fn forwarded(wanted: &Forwarded, reached: &Received, found: &mut Found) {
    let texts = [
        ("method", &wanted.method, reached.method.as_str()),
        ("path", &wanted.path, &*reached.path),
    ];
    for (name, wanted, is) in texts {
        if let Some(wanted) = wanted
            && !matches(wanted, is)
        {
            found.add(
                &format!("/forwarded/{name}"),
                format!("the {name} at the upstream is {is:?}, not {wanted:?}"),
            );
        }
    }
    found.headers(
        "/forwarded/headers",
        "at the upstream the header",
        &wanted.headers,
        &reached.headers,
    );
    found.body(
        "/forwarded/body",
        "the body at the upstream",
        wanted.body.as_deref(),
        &reached.body,
    );
}

#[derive(Default)]
struct Found(Vec<Difference>);

impl Found {
    fn add(&mut self, pointer: &str, text: String) {
        let pointer = pointer.to_owned();
        self.0.push(Difference { pointer, text });
    }

    fn body(&mut self, pointer: &str, what: &str, wanted: Option<&str>, is: &Bytes) {
        let is = text_of(is);
        if let Some(wanted) = wanted
            && !matches(wanted, &is)
        {
            self.add(pointer, format!("{what} is {is:?}, not {wanted:?}"));
        }
    }

    fn headers(
        &mut self,
        pointer: &str,
        what: &str,
        wanted: &BTreeMap<String, Option<String>>,
        headers: &HeaderMap,
    ) {
        for (name, wanted) in wanted {
            let values = headers.get_all(name.as_str()).iter();
            let values: Vec<String> = values.map(|value| text_of(value.as_bytes())).collect();
            let is = (!values.is_empty()).then(|| values.join(", "));
            self.text(pointer, what, name, wanted.as_deref(), is.as_deref());
        }
    }

    fn texts(
        &mut self,
        pointer: &str,
        what: &str,
        wanted: &BTreeMap<String, Option<String>>,
        texts: &BTreeMap<String, String>,
    ) {
        for (name, wanted) in wanted {
            let is = texts.get(name).map(String::as_str);
            self.text(pointer, what, name, wanted.as_deref(), is);
        }
    }

    fn text(
        &mut self,
        pointer: &str,
        what: &str,
        name: &str,
        wanted: Option<&str>,
        is: Option<&str>,
    ) {
        let text = match (wanted, is) {
            (Some(wanted), Some(is)) if !matches(wanted, is) => {
                format!("{what} {name} is {is:?}, not {wanted:?}")
            }
            (Some(wanted), None) => format!("{what} {name} is missing, not {wanted:?}"),
            (None, Some(is)) => format!("{what} {name} is {is:?} and should not be there"),
            _ => return,
        };
        let name = name.replace('~', "~0").replace('/', "~1");
        self.add(&format!("{pointer}/{name}"), text);
    }
}

/// A text, or a regular expression after `~`. An expression that does not compile matches nothing.
fn matches(wanted: &str, is: &str) -> bool {
    match wanted.strip_prefix('~') {
        Some(pattern) => Regex::new(pattern).is_ok_and(|regex| regex.is_match(is)),
        None => wanted == is,
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_difference_has_its_place_and_its_sentence() {
        let expect: Expect = serde_json::from_value(serde_json::json!({
            "status": 401, "body": "~^no", "headers": {"x-a": "1", "x/b": null},
            "reached_upstream": false, "forwarded": {"path": "/y"}, "vars": {"v": "1"},
            "hooks": {"access": "respond"}, "log": ["hello"], "consumer": "alice",
        }))
        .expect("an expectation");
        let mut headers = HeaderMap::new();
        headers.append("x-a", "2".parse().expect("a value"));
        let outcome = Outcome {
            status: 200,
            headers,
            body: Bytes::from_static(b"yes"),
            received: Vec::new(),
            trace: Trace::default(),
        };
        let found = compare(&expect, &outcome);
        let found: Vec<String> = found
            .iter()
            .map(|one| format!("{}: {}", one.pointer, one.text))
            .collect();
        let expected = [
            "/status: the status is 200, not 401",
            "/headers/x-a: the answer's header x-a is \"2\", not \"1\"",
            "/body: the answer's body is \"yes\", not \"~^no\"",
            "/forwarded: nothing reached the upstream; the answer was 200",
            "/vars/v: the variable v is missing, not \"1\"",
            "/hooks/access: what was answered by the hook access is missing, not \"respond\"",
            "/consumer: the consumer is \"\", not \"alice\"",
            "/log/0: no line of the plugin's log contains \"hello\"; it has: \"\"",
        ];
        assert_eq!(found, expected);
    }
}
