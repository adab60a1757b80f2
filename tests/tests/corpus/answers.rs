//! Answers of upstreams in HTTP/1.1: what the client sees of them, and that nobody else sees any of it.

use std::sync::Arc;

use swapgate_tests::upstream::Conversation;
use swapgate_tests::wire::WireError;
use swapgate_tests::{Client, Response, Upstream};

use crate::case::{self, Case, Kind, Outcome, Then};
use crate::stage::{Stage, Way, play, same};

#[test]
fn answers() {
    let cases = Arc::new(case::all(Kind::Answer));
    let stage = Stage::before(upstream(Arc::clone(&cases)));
    let mut at = 0;
    play(&cases, &Way::BOTH, |case, way| {
        // Each case is played in all of the ways before the next one comes.
        let index = at / Way::BOTH.len();
        at += 1;
        let played = stage.play_answer(case, (index, way));
        stage.take_arrived();
        played
    });
}

/// Answers `/case/N/way` as the case with this number does, and echoes everything else.
fn upstream(cases: Arc<Vec<Case>>) -> Upstream {
    Upstream::start(move |conversation| {
        loop {
            let request = conversation.receive()?;
            let mut words = request.target.split('/').skip(1);
            if words.next() != Some("case") {
                conversation.send(request.to_answer())?;
                continue;
            }
            let number = words.next().and_then(|number| number.parse::<usize>().ok());
            let way = match words.next() {
                Some("Whole") => Way::Whole,
                _ => Way::Pieces,
            };
            if !perform(conversation, &cases[number.expect("a number")], way)? {
                return Ok(());
            }
        }
    })
}

/// Answers; whether the connection goes on.
fn perform(conversation: &mut Conversation, case: &Case, way: Way) -> Result<bool, WireError> {
    let sent: Result<(), WireError> = way
        .pieces(&case.bytes)
        .try_for_each(|piece| conversation.send(piece));
    if case.answer.then == Then::Reset {
        conversation.reset_at_end();
    }
    sent?;
    Ok(case.answer.then == Then::Keep)
}

impl Stage {
    fn play_answer(&self, case: &Case, (index, way): (usize, Way)) -> Result<(), String> {
        let mut client = self.gateway.client();
        let method = case.answer.method.as_deref().unwrap_or("GET");
        let request = format!("{method} /case/{index}/{way:?} HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let answer = client
            .try_send(request)
            .and_then(|()| client.read_response(method));
        let used = self
            .upstream
            .requests()
            .last()
            .map(|request| request.connection);
        let judged = judge(case, way, &answer);
        let next = match &answer {
            Ok(answer) if answer.header("connection").is_none() => Some(self.in_step(&mut client)),
            _ => None,
        };
        let fresh = self.fresh()?;
        judged?;
        let next = next.transpose()?.unwrap_or(fresh);
        let again = used == Some(next.connection);
        match case.answer.reused.unwrap_or(false) {
            true => same("the upstream's connection is used again", &true, &again),
            false if case.answer.reused.is_none() && good(case) => Ok(()),
            false => same("the upstream's connection is used again", &false, &again),
        }
    }
}

/// Whether the answer may be passed on.
fn good(case: &Case) -> bool {
    matches!(case.answer.seen, Some(Outcome::Status(_)))
}

fn judge(case: &Case, way: Way, answer: &Result<Response, WireError>) -> Result<(), String> {
    let wanted = match way {
        Way::Pieces => case.answer.in_pieces.or(case.answer.seen),
        Way::Whole => case.answer.seen,
    };
    match (wanted, answer) {
        (Some(Outcome::Status(status)), Ok(answer)) => {
            same("the status", &status, &answer.status)?;
            hinted(case, answer)?;
            whole(case, answer)
        }
        (Some(Outcome::Refused | Outcome::Spoiled), Ok(answer)) => {
            hinted(case, answer)?;
            refused(answer)
        }
        (
            Some(Outcome::Broken | Outcome::Spoiled),
            Err(WireError::Closed(_) | WireError::Reset(_)),
        ) => Ok(()),
        (_, other) => Err(format!("wanted {wanted:?}, found {other:?}")),
    }
}

fn refused(answer: &Response) -> Result<(), String> {
    same("the status", &502, &answer.status)?;
    let kind = answer.header("content-type").unwrap_or_default();
    same("the type", &"application/problem+json", &kind.as_str())
}

fn hinted(case: &Case, answer: &Response) -> Result<(), String> {
    let fields = |fields: &[(String, Vec<u8>)]| {
        let kept = fields.iter().filter(|(name, _)| name != "via");
        let mut kept: Vec<_> = kept
            .map(|(name, value)| format!("{name}: {}", value.escape_ascii()))
            .collect();
        kept.sort_unstable();
        kept
    };
    let wanted: Vec<_> = case
        .answer
        .interim
        .iter()
        .map(|(status, headers)| (*status, fields(headers)))
        .collect();
    let came = answer.interim.iter().zip(&answer.hints);
    let came: Vec<_> = came
        .map(|(status, headers)| (*status, fields(&headers.0)))
        .collect();
    same("the interim answers", &wanted, &came)
}

fn whole(case: &Case, answer: &Response) -> Result<(), String> {
    for (name, _) in &case.answer.fields {
        let values = case.answer.fields.iter().filter(|(other, _)| other == name);
        let wanted: Vec<_> = values
            .map(|(_, value)| value.escape_ascii().to_string())
            .collect();
        same(name, &wanted, &answer.headers.all(name))?;
    }
    for name in &case.answer.without {
        same(name, &Vec::new(), &answer.headers.all(name))?;
    }
    if let Some(body) = &case.answer.body {
        let (wanted, found) = (body.escape_ascii(), answer.body.escape_ascii());
        same("the body", &wanted.to_string(), &found.to_string())?;
    }
    Ok(())
}

/// For those who ask on a connection that is kept.
pub(crate) fn ask(client: &mut Client, path: &str) -> Result<Response, WireError> {
    client.try_send(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n"))?;
    client.read_response("GET")
}
