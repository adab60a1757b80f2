//! Interim answers (RFC 9110, 15.2) of targets that speak HTTP/1.1.
//!
//! hyper reads past them. It would tell of them through a callback, at the price of four allocations for every request; so
//! what comes is looked at on its way into hyper instead. Of an answer that is none of them that is one byte, once.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU8};
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// So many are heard before one answer; those behind them are read past, as hyper does.
pub const MOST: u8 = 16;

/// As many header fields hyper takes from a target.
pub const FIELDS: usize = 100;

/// The shortest beginning of a head that tells its kind: `HTTP/1.1 1`.
const TELLING: usize = 10;

/// The head of an answer that is not the last one to its request.
#[derive(Debug)]
pub struct Interim {
    /// 1xx, but for 100 and 101.
    pub status: StatusCode,
    /// As they came.
    pub headers: HeaderMap,
}

/// Who hears the interim answers on a connection.
///
/// hyper wants connections that may change over to be fit for other threads, though this one never leaves its own: so the
/// flags are atomic, and the lock, which is taken only where there is something to keep, is always free.
#[derive(Debug, Default)]
pub(super) struct Ear {
    /// How many more are heard before the answer that is waited for; none: what comes is not looked at.
    left: AtomicU8,
    /// Whether anything is kept.
    keeps: AtomicBool,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// A head of which not all has come.
    begun: Vec<u8>,
    heard: VecDeque<Interim>,
}

impl Ear {
    /// Hears what comes from now on, up to the head of an answer.
    pub(super) fn listen(&self) {
        if self.keeps.swap(false, Relaxed) {
            *self.kept() = Kept::default();
        }
        self.left.store(MOST, Relaxed);
    }

    /// Whether something may have been heard.
    pub(super) fn has_heard(&self) -> bool {
        self.keeps.load(Relaxed)
    }

    /// The next one that was heard.
    pub(super) fn next(&self) -> Option<Interim> {
        if self.has_heard() {
            self.kept().heard.pop_front()
        } else {
            None
        }
    }

    /// Whether what comes is looked at.
    pub(super) fn listens(&self) -> bool {
        self.left.load(Relaxed) > 0
    }

    /// Looks at what came.
    pub(super) fn hears(&self, fresh: &[u8]) {
        if !self.has_heard() && is_last(fresh) {
            self.left.store(0, Relaxed);
            return;
        }
        self.keeps.store(true, Relaxed);
        let Kept { begun, heard } = &mut *self.kept();
        begun.extend_from_slice(fresh);
        while let Some(left) = self.left.load(Relaxed).checked_sub(1) {
            match head(begun) {
                Head::Partial => return,
                // What is wrong with it hyper says.
                Head::Last => break,
                Head::Interim(len, interim) => {
                    begun.drain(..len);
                    self.left.store(left, Relaxed);
                    // The gateway says 100 itself, and did so before anything of the body was sent.
                    if interim.status != StatusCode::CONTINUE {
                        heard.push_back(interim);
                    }
                }
            }
        }
        self.left.store(0, Relaxed);
        *begun = Vec::new();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether bytes that begin a head begin one that is no interim answer.
fn is_last(bytes: &[u8]) -> bool {
    bytes.starts_with(b"HTTP/") && bytes.get(TELLING - 1).is_some_and(|digit| *digit != b'1')
}

/// What bytes begin with.
enum Head {
    /// A head that may become an interim answer.
    Partial,
    /// An interim answer of this length.
    Interim(usize, Interim),
    /// Anything else.
    Last,
}

fn head(bytes: &[u8]) -> Head {
    // hyper passes over line ends before a head as well.
    let lines = bytes
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'));
    let begun = bytes.get(lines.count()..).unwrap_or_default();
    if begun.len() < TELLING {
        return Head::Partial;
    }
    if is_last(begun) {
        return Head::Last;
    }
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut parsed = httparse::Response::new(&mut fields);
    let len = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Head::Partial,
        Err(_) => return Head::Last,
    };
    match interim(&parsed) {
        Some(interim) => Head::Interim(len, interim),
        None => Head::Last,
    }
}

fn interim(parsed: &httparse::Response<'_, '_>) -> Option<Interim> {
    let status = StatusCode::from_u16(parsed.code?).ok()?;
    // 101 ends what is HTTP on the connection.
    if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
        return None;
    }
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_bytes(field.value).ok()?);
    }
    Some(Interim { status, headers })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The statuses that are heard where the bytes come in such pieces, and whether the rest is still looked at.
    #[track_caller]
    fn check(pieces: &[&[u8]], expected: &[u16], listens: bool) {
        let ear = Ear::default();
        ear.listen();
        for piece in pieces {
            if ear.listens() {
                ear.hears(piece);
            }
        }
        let heard = std::iter::from_fn(|| ear.next());
        let heard: Vec<u16> = heard.map(|interim| interim.status.as_u16()).collect();
        assert_eq!((&heard[..], ear.listens()), (expected, listens));
    }

    const HINTS: &[u8] = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    const LAST: &[u8] = b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 103 x\r\n\r\n";

    #[test]
    fn what_comes_before_an_answer_is_heard() {
        check(&[HINTS], &[103], true);
        check(&[HINTS, HINTS, LAST, HINTS], &[103, 103], false);
        check(&[&[HINTS, HINTS, LAST].concat()], &[103, 103], false);
        check(&[LAST], &[], false);
        check(&[b"\r\n", HINTS], &[103], true);
        check(&[b"HTTP/1.1 100 Continue\r\n\r\n", HINTS], &[103], true);
        check(&[b"HTTP/1.1 101 x\r\n\r\n", HINTS], &[], false);
        check(&[b"HTTP/1.1 103 x\r\na b: c\r\n\r\n", HINTS], &[], false);
        check(&[b"none of it", HINTS], &[], false);
        let bytes: Vec<&[u8]> = HINTS.chunks(1).chain(LAST.chunks(1)).collect();
        check(&bytes, &[103], false);
    }

    #[test]
    fn no_more_than_so_many_are_heard() {
        check(&[HINTS; 100], &[103; MOST as usize], false);
        check(&[&HINTS.repeat(100)], &[103; MOST as usize], false);
    }

    #[test]
    fn a_new_answer_begins_anew() {
        let ear = Ear::default();
        ear.listen();
        ear.hears(HINTS);
        ear.hears(b"HTTP/1.1 103 Ea");
        ear.listen();
        assert!(ear.next().is_none());
        ear.hears(HINTS);
        assert_eq!(ear.next().unwrap().headers.get("link").unwrap(), "</a>");
    }
}
