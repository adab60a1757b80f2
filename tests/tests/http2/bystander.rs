//! Somebody who asks all the time, on connections of their own, while others do harm; and what is demanded of the gateway then.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use swapgate_tests::h2::frame::code;
use swapgate_tests::h2::{Connection, Frame, frame};
use swapgate_tests::process::anonymous_bytes;
use swapgate_tests::wire::WireError;
use swapgate_tests::{Client, Gateway, wait_until};

use crate::stage::Stage;

/// What the gateway's memory may grow by, whatever a single client does. A debug build with one worker needs a few MB.
const ROOM: u64 = 48 << 20;

/// Frames written at once.
pub(crate) const BATCH: u32 = 100;

/// Batches after which the gateway must have had enough.
pub(crate) const MOST: u32 = 2000;

/// How an attack is to end.
pub(crate) const CALM: Option<u32> = Some(code::ENHANCE_YOUR_CALM);

/// The payload of a PING that follows a flood.
const LAST: &[u8; 8] = b"the end.";

/// How many answers somebody gets while an attack runs.
const ANSWERS: usize = 40;

/// A thread that asks in HTTP/2 and in HTTP/1.1 by turns and checks each answer.
pub(crate) struct Bystander {
    stopping: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    thread: JoinHandle<Result<(), String>>,
}

impl Bystander {
    pub(crate) fn beside(gateway: &Gateway) -> Self {
        let (stopping, answered) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let mut first = Connection::open(gateway.address());
        let mut second = gateway.client();
        let (stop, count) = (Arc::clone(&stopping), Arc::clone(&answered));
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                ask(&mut first, &mut second, count.load(Ordering::SeqCst))?;
                count.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        });
        let bystander = Self {
            stopping,
            answered,
            thread,
        };
        bystander.wait_for_more(1);
        bystander
    }

    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    /// Waits until this many more were answered.
    #[track_caller]
    pub(crate) fn wait_for_more(&self, more: usize) {
        let wanted = self.answered() + more;
        wait_until("answers for somebody else", || {
            self.answered() >= wanted || self.thread.is_finished()
        });
    }

    /// Ends it; every answer was good.
    #[track_caller]
    pub(crate) fn finish(self) {
        self.stopping.store(true, Ordering::SeqCst);
        let end = self.thread.join().expect("it returns its errors");
        assert_eq!(end, Ok(()), "somebody else was not answered");
    }
}

fn ask(first: &mut Connection, second: &mut Client, turn: usize) -> Result<(), String> {
    let path = format!("/turn/{turn}");
    let answer = first
        .get(&path)
        .map_err(|error| format!("HTTP/2: {error}"))?;
    if answer.json()["target"] != path.as_str() {
        return Err(format!("HTTP/2: {answer:?}"));
    }
    let sent = second.try_send(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
    let answer = sent.and_then(|()| second.read_response("GET"));
    let answer = answer.map_err(|error| format!("HTTP/1.1: {error}"))?;
    match answer.json()["target"] == path.as_str() {
        true => Ok(()),
        false => Err(format!("HTTP/1.1: {answer:?}")),
    }
}

/// Attacks over and over, each time with a new connection, until somebody else was answered often enough meanwhile. Gives back
/// what each attack gave. The memory must have stayed within bounds, and the gateway serve everybody afterwards.
#[track_caller]
pub(crate) fn survives<T>(stage: &Stage, mut attack: impl FnMut(&Stage) -> T) -> Vec<T> {
    let bystander = Bystander::beside(&stage.gateway);
    let before = anonymous_bytes(stage.gateway.pid());
    let started = bystander.answered();
    let mut outcomes = Vec::new();
    while outcomes.is_empty() || (bystander.answered() < started + ANSWERS && outcomes.len() < 20) {
        outcomes.push(attack(stage));
        let grown = anonymous_bytes(stage.gateway.pid()).saturating_sub(before);
        assert!(grown < ROOM, "the gateway has grown by {} KiB", grown >> 10);
    }
    bystander.wait_for_more(2);
    bystander.finish();
    assert_eq!(stage.open().get("/after").unwrap().status, 200);
    outcomes
}

/// Writes these bytes until the gateway ends the connection; gives back the code of its GOAWAY.
///
/// # Panics
/// When it takes all of them, `most` times over.
#[track_caller]
pub(crate) fn flood(
    mut connection: Connection,
    most: u32,
    bytes: impl Fn(u32) -> Vec<u8> + Send + 'static,
) -> Option<u32> {
    let mut writer = connection.writer();
    let sender = thread::spawn(move || {
        let last = frame::ping(*LAST).encode();
        (0..most).all(|turn| writer.write_all(&bytes(turn)).is_ok())
            && writer.write_all(&last).is_ok()
    });
    let end = connection.until(|seen| seen.pongs.last().is_some_and(|pong| pong == LAST));
    let took_all = sender.join().expect("it only writes");
    match end {
        Err(WireError::Closed(_) | WireError::Reset(_)) => connection.seen().goaway_code(),
        other => panic!("the flood goes on, all taken: {took_all}: {other:?}"),
    }
}

/// The same frame over and over, until the gateway has had enough.
#[track_caller]
pub(crate) fn repeated(before: &[Frame], frame: &Frame) {
    let stage = Stage::new();
    let before: Vec<u8> = before.iter().flat_map(Frame::encode).collect();
    let batch = frame.encode().repeat(BATCH as usize);
    let ends = survives(&stage, |stage| {
        let mut connection = stage.open();
        connection.send(&before);
        let batch = batch.clone();
        flood(connection, MOST, move |_| batch.clone())
    });
    assert!(ends.iter().all(|code| *code == CALM), "{ends:?}");
}
