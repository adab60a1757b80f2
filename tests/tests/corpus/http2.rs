//! Requests in HTTP/2 that have a counterpart in HTTP/1.1 (RFC 9113, 8).

use swapgate_tests::Upstream;
use swapgate_tests::h2::frame::{self, flag};
use swapgate_tests::h2::{Connection, pack};

use crate::case::{self, Case, Expect, Kind};
use crate::requests::compare;
use crate::stage::{Stage, Way, play, same};

#[test]
fn requests_in_http2() {
    let stage = Stage::before(Upstream::echo());
    play(&case::all(Kind::Http2), &[Way::Whole], |case, _| {
        let mut connection = Connection::open(stage.gateway.address());
        // A gateway that refuses early may close before it has read everything; what it said is judged.
        let _ = connection.try_send(frames(case));
        let played = case
            .expect
            .iter()
            .try_for_each(|expect| outcome(expect, &mut connection));
        let fresh = stage.fresh();
        let mut found = stage.take_arrived();
        found.retain(|request| request.target != "/next");
        played?;
        fresh?;
        compare(case, &found)
    });
}

fn frames(case: &Case) -> Vec<u8> {
    let stream = &case.stream;
    let mut frames = vec![frame::headers(1, pack::block(&stream.fields))];
    if let Some(data) = &stream.data {
        frames.push(frame::data(1, data.clone()));
    }
    if !stream.trailers.is_empty() {
        frames.push(frame::headers(1, pack::block(&stream.trailers)));
    }
    let last = frames
        .pop()
        .expect("there is a head")
        .with(flag::END_STREAM);
    frames.push(last);
    frames.iter().flat_map(frame::Frame::encode).collect()
}

fn outcome(expect: &Expect, connection: &mut Connection) -> Result<(), String> {
    let text = |error: swapgate_tests::wire::WireError| error.to_string();
    match expect {
        Expect::Forwarded(_) => {
            let answer = connection.answer(1).map_err(text)?;
            same("the status", &200, &answer.status)?;
            lives_on(connection)
        }
        Expect::Answered(statuses) => {
            let answer = connection.answer(1).map_err(text)?;
            match statuses.contains(&answer.status) {
                true => lives_on(connection),
                false => Err(format!("status {} instead of {statuses:?}", answer.status)),
            }
        }
        Expect::Reset => {
            connection.until(|seen| seen.is_over(1)).map_err(text)?;
            connection.synchronize().map_err(text)?;
            connection.synchronize().map_err(text)?;
            let reset = connection.seen().answer(1).reset;
            same("the stream was reset", &true, &reset.is_some())?;
            lives_on(connection)
        }
        Expect::Malformed => {
            connection.until(|seen| seen.is_over(1)).map_err(text)?;
            let answer = connection.seen().answer(1);
            let refused = answer.status == 400 || answer.reset.is_some();
            same("it was refused", &true, &refused)?;
            lives_on(connection)
        }
        Expect::Ended => {
            let code = connection.until_closed().map_err(text)?;
            same(
                "the connection was ended",
                &true,
                &code.is_some_and(|code| code != 0),
            )
        }
        Expect::Dropped => Err("say reset or ended".to_owned()),
    }
}

/// Other streams of the connection are served.
fn lives_on(connection: &mut Connection) -> Result<(), String> {
    let next = connection.skip_to(3).get("/next");
    let next = next.map_err(|error| format!("the connection does not go on: {error}"))?;
    same("the next status", &200, &next.status)?;
    same(
        "whose answer",
        &"/next",
        &next.json()["target"].as_str().unwrap_or_default(),
    )
}
