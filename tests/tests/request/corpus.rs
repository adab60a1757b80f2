//! The one function that plays rows, and what it demands of each.

use std::sync::atomic::{AtomicUsize, Ordering};

use swapgate_tests::wire::WireError;
use swapgate_tests::{Client, Gateway, Received, Response, Upstream};

use crate::rows::Expect;
pub(crate) use crate::rows::{Case, Forwarded, answered, dropped, forwarded, passes, refused};

/// What the gateway sets itself. These are compared only where a row names them.
const SET_BY_GATEWAY: [&str; 9] = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
    "forwarded",
    "traceparent",
    "via",
];

/// What never passes a gateway (RFC 9110, 7.6.1), and `Proxy`, which CGI programs mistake for a setting of theirs.
const NEVER_FORWARDED: [&str; 7] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy",
    "proxy-connection",
    "te",
    "upgrade",
];

/// A gateway before a recording upstream, with one route for everything.
pub(crate) struct Stage {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Upstream,
    turn: AtomicUsize,
}

impl Stage {
    /// One worker, so that the fresh client's request travels over the very connections the case used.
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// The same with more configuration at the top level.
    pub(crate) fn with(settings: &str) -> Self {
        let upstream = Upstream::echo();
        let gateway = Gateway::with(&format!(
            "\
workers: 1
{settings}
upstreams: [{{name: echo, targets: [{{address: \"@echo@\"}}]}}]
services: [{{name: echo, upstream: echo}}]
routes: [{{name: all, service: echo, preserve_host: true}}]
"
        ))
        .set("echo", upstream.address())
        .start();
        let turn = AtomicUsize::new(0);
        Self {
            gateway,
            upstream,
            turn,
        }
    }

    /// Plays all rows and reports every one that went wrong.
    #[track_caller]
    pub(crate) fn play(&self, cases: &[Case]) {
        let wrong: Vec<_> = cases
            .iter()
            .filter_map(|case| {
                let why = self.play_one(case).err()?;
                let request = case.request.escape_ascii().to_string();
                let request: String = request.chars().take(400).collect();
                Some(format!(
                    "{} ({})\n    request: {request}\n    {why}",
                    case.name, case.section
                ))
            })
            .collect();
        let all = cases.len();
        assert!(
            wrong.is_empty(),
            "{} of {all} cases went wrong:\n\n{}\n",
            wrong.len(),
            wrong.join("\n\n")
        );
    }

    fn play_one(&self, case: &Case) -> Result<(), String> {
        let mut client = self.gateway.client();
        // A gateway that refuses early may close before it has read everything.
        let _ = client.try_send(&case.request);
        if case.half_close {
            client.finish_sending();
        }
        let outcome = self.outcome(case, &mut client);
        let turn = self.turn.fetch_add(1, Ordering::SeqCst);
        let own = format!("/fresh/{turn}");
        let fresh = answer(self.gateway.client(), &own)?;
        let mut received = self.upstream.take_requests();
        let last = received.pop().ok_or("nothing reached the upstream")?;
        if last.target != own || fresh.json()["target"] != own.as_str() {
            return Err(format!("a fresh client got the answer to {}", last.line()));
        }
        outcome.and_then(|()| compare(&case.expect, &received))
    }

    fn outcome(&self, case: &Case, client: &mut Client) -> Result<(), String> {
        let method = case.request.trim_ascii_start().split(|byte| *byte == b' ');
        let method =
            String::from_utf8_lossy(method.clone().next().unwrap_or_default()).into_owned();
        if let Expect::Dropped = case.expect {
            return match client.read_to_end() {
                Ok(rest) if !rest.starts_with(b"HTTP/1.1 2") => Ok(()),
                Err(WireError::Reset(_)) => Ok(()),
                other => Err(format!("not dropped: {other:?}")),
            };
        }
        let answer = client
            .read_response(&method)
            .map_err(|error| error.to_string())?;
        match &case.expect {
            Expect::Forwarded(forwarded) => {
                expect_status(&answer, &[200])?;
                match forwarded.closes {
                    true => expect_closed(client),
                    false if case.half_close => Ok(()),
                    false => self.expect_in_step(client),
                }
            }
            Expect::Refused(statuses) => {
                expect_status(&answer, statuses)?;
                expect_closed(client)
            }
            Expect::Answered(statuses) => {
                expect_status(&answer, statuses)?;
                match answer.header("connection").as_deref() {
                    Some("close") => expect_closed(client),
                    _ => self.expect_in_step(client),
                }
            }
            Expect::Dropped => Ok(()),
        }
    }

    /// The connection serves the next request, with the answer that belongs to it.
    fn expect_in_step(&self, client: &mut Client) -> Result<(), String> {
        let next = format!("/next/{}", self.turn.load(Ordering::SeqCst));
        let request = format!("GET {next} HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let answer = client
            .try_send(request)
            .and_then(|()| client.read_response("GET"))
            .map_err(|error| format!("the connection is not kept: {error}"))?;
        expect_status(&answer, &[200])?;
        match answer.json()["target"] == next.as_str() {
            true => Ok(()),
            false => Err(format!("the next answer on the connection is {answer:?}")),
        }
    }
}

fn answer(mut client: Client, path: &str) -> Result<Response, String> {
    client
        .try_send(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n"))
        .and_then(|()| client.read_response("GET"))
        .map_err(|error| format!("a fresh client got no answer: {error}"))
}

fn expect_status(answer: &Response, statuses: &[u16]) -> Result<(), String> {
    match statuses.contains(&answer.status) {
        true => Ok(()),
        false => Err(format!(
            "status {} instead of {statuses:?}: {}",
            answer.status,
            answer.text()
        )),
    }
}

fn expect_closed(client: &mut Client) -> Result<(), String> {
    match client.read_to_end() {
        Ok(rest) | Err(WireError::Reset(rest)) if rest.is_empty() => Ok(()),
        other => Err(format!("the connection is not closed: {other:?}")),
    }
}

fn compare(expect: &Expect, received: &[Received]) -> Result<(), String> {
    let own: Vec<_> = received
        .iter()
        .filter(|request| !request.target.starts_with("/next/"))
        .collect();
    match (expect, own.as_slice()) {
        (Expect::Forwarded(expected), [request]) => compare_forwarded(expected, request),
        (Expect::Forwarded(_), others) => Err(format!("{} requests were forwarded", others.len())),
        (_, []) => Ok(()),
        (_, others) => Err(format!(
            "it was forwarded: {}",
            others[0].head.escape_ascii()
        )),
    }
}

fn compare_forwarded(expected: &Forwarded, request: &Received) -> Result<(), String> {
    same(
        "the request line",
        &expected.line.to_owned(),
        &request.line(),
    )?;
    let mut wanted: Vec<_> = expected
        .headers
        .iter()
        .map(|(name, value)| (*name, value.escape_ascii().to_string()))
        .collect();
    let mut found: Vec<_> = request
        .headers
        .0
        .iter()
        .filter(|(name, _)| !SET_BY_GATEWAY.contains(&name.as_str()))
        .map(|(name, value)| (name.as_str(), value.escape_ascii().to_string()))
        .collect();
    // Stable: fields of one name keep their order, which is the only order that means something (RFC 9110, 5.3).
    wanted.sort_by_key(|(name, _)| *name);
    found.sort_by_key(|(name, _)| *name);
    same("the header fields", &wanted, &found)?;
    let (wanted, found) = (
        expected.body.escape_ascii(),
        request.raw_body.escape_ascii(),
    );
    same("the body", &wanted.to_string(), &found.to_string())?;
    for (name, value) in &expected.set {
        // Several lines of a list field mean the same as one (RFC 9110, 5.3).
        let values = request.headers.all(name).join(", ");
        same(name, &(*value).to_owned(), &values)?;
    }
    hold_always(request)
}

/// What holds for every request that leaves the gateway.
fn hold_always(request: &Received) -> Result<(), String> {
    // Where the client takes trailers, so does the gateway, in words of its own (RFC 9110, 10.1.4).
    let own = |name: &str| match name {
        "te" => request.headers.all("te") == ["trailers"],
        "connection" => request.headers.all("connection") == ["te"],
        _ => false,
    };
    let takes_trailers = own("te") && own("connection");
    for name in NEVER_FORWARDED {
        if takes_trailers && own(name) {
            continue;
        }
        same(name, &Vec::new(), &request.headers.all(name))?;
    }
    for name in ["host", "x-request-id", "x-real-ip", "x-forwarded-proto"] {
        same(name, &1, &request.headers.all(name).len())?;
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, wanted: &T, found: &T) -> Result<(), String> {
    match wanted == found {
        true => Ok(()),
        false => Err(format!(
            "{what}:\n      wanted {wanted:?}\n      found  {found:?}"
        )),
    }
}
