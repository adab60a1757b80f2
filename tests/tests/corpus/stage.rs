//! Where cases are played: the gateway, the recording upstream behind it, and the clients that ask beside the case.

use std::sync::atomic::{AtomicUsize, Ordering};

use swapgate_tests::recorder::NONCE;
use swapgate_tests::{Client, Gateway, Received, Response, Upstream};

use crate::case::{Case, Forwarded};

/// What a gateway needs at the least. One worker: whoever asks next uses the connections of the case.
pub(crate) const CONFIGURATION: &str = "\
workers: 1
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: s, upstream: up}]
routes: [{name: all, service: s}]
";

/// What the gateway sets itself; compared only where a case names it.
const SET_BY_GATEWAY: [&str; 8] = [
    "host",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
    "via",
];

/// Pieces of one byte up to here. A head is read anew with each piece of it, so longer ones come in larger pieces.
const BYTE_BY_BYTE: usize = 4096;

/// In which pieces something is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Whole,
    Pieces,
}

impl Way {
    pub(crate) const BOTH: [Self; 2] = [Self::Whole, Self::Pieces];

    /// The pieces of these bytes.
    pub(crate) fn pieces(self, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
        let size = match self {
            Self::Whole => bytes.len(),
            Self::Pieces if bytes.len() <= BYTE_BY_BYTE => 1,
            Self::Pieces => 499,
        };
        bytes.chunks(size.max(1))
    }
}

/// A gateway before a recording upstream.
pub(crate) struct Stage {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Upstream,
    turn: AtomicUsize,
}

impl Stage {
    pub(crate) fn before(upstream: Upstream) -> Self {
        Self::with(CONFIGURATION, upstream)
    }

    /// The same with another configuration, where a case says why.
    pub(crate) fn with(configuration: &str, upstream: Upstream) -> Self {
        let gateway = Gateway::with(configuration)
            .set("up", upstream.address())
            .start();
        let turn = AtomicUsize::new(0);
        Self {
            gateway,
            upstream,
            turn,
        }
    }

    /// The connection serves the next request, with the answer that belongs to it.
    pub(crate) fn in_step(&self, client: &mut Client) -> Result<Received, String> {
        self.own_answer(client)
            .map_err(|error| format!("the connection is not kept in step: {error}"))
    }

    /// A client of its own gets its own answer.
    pub(crate) fn fresh(&self) -> Result<Received, String> {
        self.own_answer(&mut self.gateway.client())
            .map_err(|error| format!("a fresh client: {error}"))
    }

    /// Asks with a nonce, and takes what arrived of that from the record, where it must be the last.
    fn own_answer(&self, client: &mut Client) -> Result<Received, String> {
        let turn = self.turn.fetch_add(1, Ordering::SeqCst);
        let (path, nonce) = (format!("/own/{turn}"), format!("nonce-{turn}"));
        let request = format!("GET {path} HTTP/1.1\r\nHost: own.test\r\n{NONCE}: {nonce}\r\n\r\n");
        let answer = client
            .try_send(request)
            .and_then(|()| client.read_response("GET"))
            .map_err(|error| error.to_string())?;
        same("the status", &200, &answer.status)?;
        let all = self.upstream.requests();
        let own = all.last().ok_or("nothing reached the upstream")?;
        same("the answer", &path.as_str(), &target(&answer).as_str())?;
        let expected = Forwarded {
            line: format!("GET {path} HTTP/1.1"),
            fields: vec![(NONCE.to_owned(), nonce.into_bytes())],
            host: Some(b"own.test".to_vec()),
            ..Forwarded::default()
        };
        arrived(&expected, own).map_err(|why| format!("what arrived of it: {why}"))?;
        Ok(own.clone())
    }

    /// What arrived beside the requests that the stage itself sent.
    pub(crate) fn take_arrived(&self) -> Vec<Received> {
        let mut all = self.upstream.take_requests();
        all.retain(|request| !request.target.starts_with("/own/"));
        all
    }
}

/// Plays cases in each way, and reports every one that went wrong.
#[track_caller]
pub(crate) fn play(
    cases: &[Case],
    ways: &[Way],
    mut one: impl FnMut(&Case, Way) -> Result<(), String>,
) {
    let mut wrong = Vec::new();
    for case in cases {
        for way in ways {
            if let Err(why) = one(case, *way) {
                wrong.push(told(case, *way, &why));
            }
        }
    }
    let all = cases.len();
    assert!(
        wrong.is_empty(),
        "{} of {all} cases went wrong:\n\n{}\n",
        wrong.len(),
        wrong.join("\n\n")
    );
}

fn told(case: &Case, way: Way, why: &str) -> String {
    let Case { file, name, .. } = case;
    let sent: String = case
        .bytes
        .escape_ascii()
        .map(char::from)
        .take(400)
        .collect();
    let reasons = case.why.join(" ");
    let rfc = case.rfc.join(", RFC ");
    format!("{file}: {name} (RFC {rfc}), {way:?}\n    {reasons}\n    sent: {sent}\n    {why}")
}

/// The target that the echoing upstream saw.
pub(crate) fn target(answer: &Response) -> String {
    let read: Result<serde_json::Value, _> = serde_json::from_slice(&answer.body);
    let target = read.map(|json| json["target"].as_str().unwrap_or_default().to_owned());
    target.unwrap_or_else(|error| format!("{error} in {}", answer.text()))
}

/// Whether what arrived is what must have arrived, and nothing else.
pub(crate) fn arrived(expected: &Forwarded, request: &Received) -> Result<(), String> {
    same("the request line", &expected.line, &request.line())?;
    let shown = |fields: Vec<(&str, &[u8])>| -> Vec<String> {
        let one = |(name, value): (&str, &[u8])| format!("{name}: {}", value.escape_ascii());
        fields.into_iter().map(one).collect()
    };
    let (wanted, found) = (own_fields(expected), other_fields(request));
    same("the header fields", &shown(wanted), &shown(found))?;
    same("one Host", &1, &request.headers.all("host").len())?;
    for (name, value) in &expected.set {
        let wanted = value.escape_ascii().to_string();
        same(name, &wanted, &request.headers.all(name).join(", "))?;
    }
    if let Some(host) = &expected.host {
        let wanted = vec![host.escape_ascii().to_string()];
        same(
            "the host",
            &wanted,
            &request.headers.all("x-forwarded-host"),
        )?;
    }
    let (wanted, found) = (expected.body.escape_ascii(), request.body.escape_ascii());
    same("the body", &wanted.to_string(), &found.to_string())?;
    if !request.headers.all("transfer-encoding").is_empty() {
        let end = [b"0\r\n", &expected.trailers[..], b"\r\n"].concat();
        let found = request.raw_body.escape_ascii();
        if !request.raw_body.ends_with(&end) {
            return Err(format!(
                "the trailers: wanted {}, found {found}",
                end.escape_ascii()
            ));
        }
    }
    Ok(())
}

/// Stable: fields of one name keep their order, which is the only order that means something (RFC 9110, 5.3).
fn own_fields(expected: &Forwarded) -> Vec<(&str, &[u8])> {
    let fields = expected.fields.iter();
    let mut fields: Vec<_> = fields.map(|(name, value)| (&**name, &**value)).collect();
    fields.sort_by_key(|(name, _)| *name);
    fields
}

fn other_fields(request: &Received) -> Vec<(&str, &[u8])> {
    let fields = request.headers.0.iter();
    let mut fields: Vec<_> = fields
        .map(|(name, value)| (&**name, &**value))
        .filter(|(name, _)| !SET_BY_GATEWAY.contains(name))
        .collect();
    fields.sort_by_key(|(name, _)| *name);
    fields
}

pub(crate) fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    wanted: &T,
    found: &T,
) -> Result<(), String> {
    match wanted == found {
        true => Ok(()),
        false => Err(format!(
            "{what}:\n      wanted {wanted:?}\n      found  {found:?}"
        )),
    }
}
