//! Requests in HTTP/1.1: sent in one piece and in single bytes, with the same outcome.

use swapgate_tests::wire::WireError;
use swapgate_tests::{Client, Received, Upstream};

use crate::case::{self, Case, Expect, Kind};
use crate::stage::{Stage, Way, arrived, play, same, target};

#[test]
fn requests() {
    let stage = Stage::before(Upstream::echo());
    play(&case::all(Kind::Request), &Way::BOTH, |case, way| {
        let played = stage.play_request(case, way);
        let fresh = stage.fresh();
        let found = stage.take_arrived();
        played?;
        fresh?;
        compare(case, &found)
    });
}

impl Stage {
    fn play_request(&self, case: &Case, way: Way) -> Result<(), String> {
        let mut client = self.gateway.client();
        for piece in way.pieces(&case.bytes) {
            // A gateway that refuses early may close before it has read everything.
            if client.try_send(piece).is_err() {
                break;
            }
        }
        if case.finish {
            client.finish_sending();
        }
        for expect in &case.expect {
            outcome(case, expect, &mut client)?;
        }
        let last = matches!(case.expect.last(), Some(Expect::Forwarded(_)));
        match case.kept.unwrap_or(last) {
            _ if matches!(case.expect.last(), Some(Expect::Dropped)) => Ok(()),
            true if case.finish => Ok(()),
            true => self.in_step(&mut client).map(drop),
            false => closed(&mut client),
        }
    }
}

fn outcome(case: &Case, expect: &Expect, client: &mut Client) -> Result<(), String> {
    let method = match expect {
        Expect::Forwarded(forwarded) => forwarded.line.split(' ').next().unwrap_or_default(),
        // What is refused is no HEAD, or its body would be missed.
        _ if case.bytes.starts_with(b"HEAD ") => "HEAD",
        _ => "GET",
    };
    match expect {
        Expect::Dropped => match client.read_to_end() {
            Ok(rest) if !rest.starts_with(b"HTTP/1.1 2") => Ok(()),
            Err(WireError::Reset(_)) => Ok(()),
            other => Err(format!("not dropped: {other:?}")),
        },
        Expect::Forwarded(forwarded) => {
            let answer = client
                .read_response(method)
                .map_err(|error| error.to_string())?;
            same("the status", &200, &answer.status)
                .map_err(|why| format!("{why}: {}", answer.text()))?;
            if method == "HEAD" {
                return Ok(());
            }
            let wanted = forwarded.line.split(' ').nth(1).unwrap_or_default();
            same("whose answer", &wanted, &target(&answer).as_str())
        }
        Expect::Answered(statuses) => {
            let answer = client
                .read_response(method)
                .map_err(|error| error.to_string())?;
            match statuses.contains(&answer.status) {
                true => Ok(()),
                false => Err(format!(
                    "status {} instead of {statuses:?}: {}",
                    answer.status,
                    answer.text()
                )),
            }
        }
        Expect::Reset | Expect::Malformed | Expect::Ended => {
            Err("only HTTP/2 has streams".to_owned())
        }
    }
}

fn closed(client: &mut Client) -> Result<(), String> {
    match client.read_to_end() {
        Ok(rest) | Err(WireError::Reset(rest)) if rest.is_empty() => Ok(()),
        other => Err(format!("the connection is not closed: {other:?}")),
    }
}

/// What arrived is what the case says, in its order, and nothing else.
pub(crate) fn compare(case: &Case, found: &[Received]) -> Result<(), String> {
    let wanted = case.expect.iter().filter_map(|expect| match expect {
        Expect::Forwarded(forwarded) => Some(forwarded),
        _ => None,
    });
    let mut found = found.iter();
    for wanted in wanted {
        let request = found.next().ok_or("it was not forwarded")?;
        arrived(wanted, request)?;
    }
    match found.next() {
        Some(request) => Err(format!(
            "this was forwarded: {}",
            request.head.escape_ascii()
        )),
        None => Ok(()),
    }
}
