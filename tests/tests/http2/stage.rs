//! The one function that plays rows, and what it demands of each.

use std::sync::atomic::{AtomicUsize, Ordering};

use swapgate_tests::h2::Connection;
use swapgate_tests::unreachable::Deaf;
use swapgate_tests::wire::WireError;
use swapgate_tests::{Gateway, Received, Upstream};

use crate::rows::{Expect, Row, Step};

/// A stream higher than any a row opens.
const FURTHER: u32 = 0x4001;

/// A gateway before a recording upstream, with one route for everything.
pub(crate) struct Stage {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Upstream,
    turn: AtomicUsize,
    _deaf: Option<Deaf>,
}

impl Stage {
    /// One worker, so that the fresh client's request travels over the very connections the row used.
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// The same with more configuration at the top level.
    pub(crate) fn with(settings: &str) -> Self {
        Self::before(settings, recording(), None)
    }

    /// A gateway whose upstream is never reached, so that nobody reads the bodies of requests.
    pub(crate) fn unconnected() -> Self {
        Self::before("", recording(), Some(Deaf::new()))
    }

    fn before(settings: &str, upstream: Upstream, deaf: Option<Deaf>) -> Self {
        let gateway = Gateway::with(&format!(
            "\
workers: 1
{settings}
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: s, upstream: up, timeouts: {{connect: 60s}}}}]
routes: [{{name: all, service: s, preserve_host: true}}]
"
        ))
        .set(
            "up",
            deaf.as_ref().map_or(upstream.address(), Deaf::address),
        )
        .start();
        let turn = AtomicUsize::new(0);
        Self {
            gateway,
            upstream,
            turn,
            _deaf: deaf,
        }
    }

    /// A connection that has exchanged settings.
    #[track_caller]
    pub(crate) fn open(&self) -> Connection {
        Connection::open(self.gateway.address())
    }

    /// Plays all rows and reports every one that went wrong.
    #[track_caller]
    pub(crate) fn play(&self, rows: &[Row]) {
        let wrong: Vec<String> = rows
            .iter()
            .filter_map(|row| {
                let why = self.play_one(row).err()?;
                let differs = row
                    .differs
                    .map(|(rather, why)| format!("\n    rather {rather}: {why}"));
                let (section, name) = (row.section, &row.name);
                let differs = differs.unwrap_or_default();
                Some(format!(
                    "{section}: {name}\n    wanted {:?}{differs}\n    {why}",
                    row.expect
                ))
            })
            .collect();
        let all = rows.len();
        assert!(
            wrong.is_empty(),
            "{} of {all} rows went wrong:\n\n{}\n",
            wrong.len(),
            wrong.join("\n\n")
        );
    }

    fn play_one(&self, row: &Row) -> Result<(), String> {
        let mut connection = match row.bare {
            true => Connection::connect(self.gateway.address()),
            false => Connection::open_with(self.gateway.address(), &row.settings),
        };
        for step in &row.steps {
            // A gateway that refuses early may close before it has read everything; what it said is judged below.
            let _ = match step {
                Step::Send(bytes) => connection.try_send(bytes),
                Step::Over(stream) => connection.answer(*stream).map(drop),
                Step::Synchronize => connection.synchronize(),
                Step::Finish => {
                    connection.finish_sending();
                    Ok(())
                }
            };
        }
        let outcome = self.outcome(row, &mut connection);
        let received = self.after_a_fresh_client()?;
        outcome?;
        match received
            .iter()
            .find(|request| request.target.starts_with("/case"))
        {
            Some(request) if row.unforwarded => {
                Err(format!("it was forwarded: {}", request.head.escape_ascii()))
            }
            _ => Ok(()),
        }
    }

    fn outcome(&self, row: &Row, connection: &mut Connection) -> Result<(), String> {
        match row.expect {
            Expect::Connection(code) => {
                let said = connection
                    .until_closed()
                    .map_err(|error| error.to_string())?;
                same("the code of GOAWAY", &Some(code), &said)
            }
            Expect::Closed => match connection.read_to_end() {
                Ok(_) | Err(WireError::Reset(_)) => match connection.seen().answers.is_empty() {
                    true => Ok(()),
                    false => Err(format!("it was answered: {:?}", connection.seen().answers)),
                },
                Err(error) => Err(error.to_string()),
            },
            Expect::Stream(stream, code) => {
                // Where no reset comes, nothing may ever follow; so two PINGs bound the wait: the answer to the first
                // may overtake the reset.
                let over = connection.answer(stream).map(drop);
                over.and_then(|()| connection.synchronize())
                    .and_then(|()| connection.synchronize())
                    .map_err(|error| stopped(&error, connection))?;
                same(
                    "the code of RST_STREAM",
                    &Some(code),
                    &connection.seen().answer(stream).reset,
                )?;
                self.lives_on(row, connection)
            }
            Expect::Answer(stream, status) => {
                let answer = connection.answer(stream);
                let answer = answer.map_err(|error| stopped(&error, connection))?;
                same(
                    "the answer",
                    &(status, true, None),
                    &(answer.status, answer.ended, answer.reset),
                )?;
                self.lives_on(row, connection)
            }
            Expect::Ignored => {
                self.lives_on(row, connection)?;
                match connection
                    .seen()
                    .answers
                    .values()
                    .find(|answer| answer.reset.is_some())
                {
                    Some(answer) => Err(format!("not ignored: {answer:?}")),
                    None => Ok(()),
                }
            }
        }
    }

    /// A PING is answered, and a further request with the answer that belongs to it.
    fn lives_on(&self, row: &Row, connection: &mut Connection) -> Result<(), String> {
        let alive = connection.synchronize();
        alive.map_err(|error| stopped(&error, connection))?;
        same("no GOAWAY", &None, &connection.seen().goaway_code())?;
        if row.last {
            return Ok(());
        }
        let next = format!("/next/{}", self.turn.load(Ordering::SeqCst));
        let answer = connection.skip_to(FURTHER).get(&next);
        let answer = answer.map_err(|error| stopped(&error, connection))?;
        same("the next answer", &200, &answer.status)?;
        same(
            "whose answer",
            &next.as_str(),
            &answer.json()["target"].as_str().unwrap_or_default(),
        )
    }

    /// A client of its own gets its own answer; what else reached the upstream meanwhile.
    fn after_a_fresh_client(&self) -> Result<Vec<Received>, String> {
        let turn = self.turn.fetch_add(1, Ordering::SeqCst);
        let own = format!("/fresh/{turn}");
        let answer = self.open().get(&own);
        let answer = answer.map_err(|error| format!("a fresh client got no answer: {error}"))?;
        let found = answer.json()["target"].clone();
        same(
            "the fresh client's answer",
            &own.as_str(),
            &found.as_str().unwrap_or_default(),
        )?;
        let received = self.upstream.take_requests();
        Ok(received
            .into_iter()
            .filter(|request| request.target != own)
            .collect())
    }
}

/// Echoes requests; `/held` is never answered, and `/bytes/N` with N bytes.
fn recording() -> Upstream {
    Upstream::start(|conversation| {
        loop {
            let request = conversation.receive()?;
            if request.target.starts_with("/held") {
                conversation.until_closed();
                return Ok(());
            }
            if request.method == "HEAD" {
                conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")?;
                continue;
            }
            let answer = match request
                .target
                .strip_prefix("/bytes/")
                .and_then(|count| count.parse().ok())
            {
                Some(count) => {
                    let body = "x".repeat(count);
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {count}\r\n\r\n{body}").into_bytes()
                }
                None => request.to_answer(),
            };
            conversation.send(answer)?;
        }
    })
}

fn stopped(error: &WireError, connection: &Connection) -> String {
    let seen = connection.seen();
    format!(
        "{error}; GOAWAY {:?}, answers {:?}",
        seen.goaway, seen.answers
    )
}

pub(crate) fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    wanted: &T,
    found: &T,
) -> Result<(), String> {
    match wanted == found {
        true => Ok(()),
        false => Err(format!("{what}: wanted {wanted:?}, found {found:?}")),
    }
}
