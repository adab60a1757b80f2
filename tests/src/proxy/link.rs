//! One connection through a proxy: an exchange after the other, until a fault strikes.

use std::net::TcpStream;
use std::sync::Arc;
use std::thread;

use super::fault::{Fault, Pace, Part, Place};
use super::state::{Ending, Shared};
use crate::message::{Framing, Headers, framing, parse_request_head, parse_response_head};
use crate::wire::{Wire, WireError};

/// Serves a connection on a thread of its own.
pub(super) fn spawn(socket: TcpStream, shared: &Arc<Shared>) {
    let Ok(front) = Wire::new(socket).and_then(Wire::without_limit) else {
        return;
    };
    let Ok(handle) = front.handle() else { return };
    let Some((number, ending)) = shared.enter(handle) else {
        return;
    };
    let mut link = Link {
        number,
        front,
        back: None,
        nonce: String::new(),
        shared: Arc::clone(shared),
    };
    thread::spawn(move || {
        let ending = ending.unwrap_or_else(|| link.serve());
        link.end(ending);
    });
}

struct Link {
    number: usize,
    front: Wire,
    back: Option<Wire>,
    /// Of the request that is being served; empty between requests, and for requests that have none.
    nonce: String,
    shared: Arc<Shared>,
}

/// One request, as it came.
struct Request {
    head: Vec<u8>,
    method: String,
    headers: Headers,
}

/// One answer, as it came.
struct Answer {
    head: Vec<u8>,
    body: Vec<u8>,
    /// Whether its connection ends with it.
    is_last: bool,
}

impl Link {
    /// Exchange after exchange; how the connection ends.
    fn serve(&mut self) -> Ending {
        loop {
            match self.exchange() {
                Ok(None) => {}
                Ok(Some(ending)) => return ending,
                Err(_) => return Ending::Cut,
            }
        }
    }

    fn end(self, ending: Ending) {
        let Self {
            number,
            front,
            back,
            nonce,
            shared,
        } = self;
        let said = shared.leave(number);
        if said.is_some() && !nonce.is_empty() {
            shared.strike(nonce, shared.fault());
        }
        match said.unwrap_or(ending) {
            Ending::Cut => drop(front),
            Ending::Reset => front.reset(),
        }
        drop(back);
        // Not before: whoever is told that no connection is open must not find one that is still about to be closed.
        shared.forget(number);
    }

    /// One exchange; how the connection ends, if it ends here.
    fn exchange(&mut self) -> Result<Option<Ending>, WireError> {
        self.nonce.clear();
        let request = self.read_request()?;
        let fault = self.shared.claim(self.number);
        if let Some(ending) = self.strikes(fault, Place::Request) {
            return Ok(Some(ending));
        }
        let raw = self.read_body(&request)?;
        let answer = self.ask(&request, &raw)?;
        if let Some(ending) = self.strikes(fault, Place::Answer) {
            return Ok(Some(ending));
        }
        let ending = self.pass_on(fault, &answer)?;
        Ok(ending.or_else(|| answer.is_last.then_some(Ending::Cut)))
    }

    fn read_request(&mut self) -> Result<Request, WireError> {
        let head = self.front.read_head()?;
        let parsed = parse_request_head(&head);
        let (method, _, _, headers) =
            parsed.map_err(|why| WireError::Malformed(why, head.clone()))?;
        self.nonce = headers.all("x-nonce").pop().unwrap_or_default();
        Ok(Request {
            head,
            method,
            headers,
        })
    }

    /// The body of a request, framed as it came.
    fn read_body(&mut self, request: &Request) -> Result<Vec<u8>, WireError> {
        let malformed = |why: String| WireError::Malformed(why, request.head.clone());
        match framing(&request.headers).map_err(malformed)? {
            Framing::Chunked => self.front.read_chunked().map(|(raw, _)| raw),
            Framing::Length(length) => self.front.read_exact(length),
            Framing::Unsaid => Ok(Vec::new()),
        }
    }

    /// What the target answers.
    fn ask(&mut self, request: &Request, body: &[u8]) -> Result<Answer, WireError> {
        let mut back = match self.back.take() {
            Some(back) => back,
            None => self.connect()?,
        };
        back.send(&[&request.head, body].concat())?;
        self.shared.count(|counts| counts.forwarded += 1);
        let answer = read_answer(&mut back, &request.method)?;
        self.back = Some(back);
        Ok(answer)
    }

    fn connect(&self) -> Result<Wire, WireError> {
        let gone = |_| WireError::Reset(Vec::new());
        let socket = TcpStream::connect(self.shared.target).map_err(gone)?;
        let back = Wire::new(socket).and_then(Wire::without_limit);
        let back = back.map_err(gone)?;
        self.shared.add(self.number, back.handle().map_err(gone)?);
        Ok(back)
    }

    /// Passes an answer on, as well as the fault admits.
    fn pass_on(&mut self, fault: Fault, answer: &Answer) -> Result<Option<Ending>, WireError> {
        let whole = [&*answer.head, &*answer.body].concat();
        match fault {
            Fault::Slow(pace) => {
                self.strike(fault);
                self.trickle(pace, &whole)?;
            }
            Fault::Garble(part) => {
                self.strike(fault);
                self.front.send(&garbled(part, answer))?;
                return Ok(Some(Ending::Cut));
            }
            Fault::Hang(place) | Fault::Reset(place) | Fault::Cut(place) => {
                let until = match place {
                    Place::Head => answer.head.len() / 2,
                    _ => answer.head.len() + answer.body.len() / 2,
                };
                self.front.send(&whole[..until])?;
                return Ok(self.strikes(fault, place));
            }
            Fault::Pass | Fault::Refuse => self.front.send(&whole)?,
        }
        self.shared.count(|counts| counts.answered += 1);
        Ok(None)
    }

    fn strike(&mut self, fault: Fault) {
        self.shared.strike(std::mem::take(&mut self.nonce), fault);
    }

    fn trickle(&mut self, pace: Pace, bytes: &[u8]) -> Result<(), WireError> {
        for piece in bytes.chunks(pace.piece.max(1)) {
            self.front.send(piece)?;
            thread::sleep(pace.pause);
        }
        Ok(())
    }

    /// How the connection ends if this fault strikes at this place. Where it hangs, once somebody ends that.
    fn strikes(&mut self, fault: Fault, here: Place) -> Option<Ending> {
        let (place, ending) = match fault {
            Fault::Hang(place) | Fault::Cut(place) => (place, Ending::Cut),
            Fault::Reset(place) => (place, Ending::Reset),
            _ => return None,
        };
        if place != here {
            return None;
        }
        self.strike(fault);
        if matches!(fault, Fault::Hang(_)) {
            // Until the other side gives up, or the fault is over.
            self.front.wait_for_end();
            self.shared.hung(self.number);
        }
        Some(ending)
    }
}

fn read_answer(back: &mut Wire, method: &str) -> Result<Answer, WireError> {
    let head = back.read_head()?;
    let malformed = |why: String| WireError::Malformed(why, head.clone());
    let (status, _, headers) = parse_response_head(&head).map_err(malformed)?;
    let bodiless = method == "HEAD" || matches!(status, 204 | 304);
    let framing = framing(&headers).map_err(malformed)?;
    let body = match framing {
        _ if bodiless => Vec::new(),
        Framing::Chunked => back.read_chunked()?.0,
        Framing::Length(length) => back.read_exact(length)?,
        Framing::Unsaid => back.read_to_end()?,
    };
    let mut options = headers.all("connection").into_iter();
    let says_close = options.any(|option| option.eq_ignore_ascii_case("close"));
    let is_last = says_close || (framing == Framing::Unsaid && !bodiless);
    Ok(Answer {
        head,
        body,
        is_last,
    })
}

/// An answer of which one part is no HTTP any more.
fn garbled(part: Part, answer: &Answer) -> Vec<u8> {
    let head = String::from_utf8_lossy(&answer.head).into_owned();
    let (status, fields) = head.split_once("\r\n").unwrap_or((&head, "\r\n"));
    let head = match part {
        Part::Status => format!("HTTP/1.1 2x0 OK\r\n{fields}"),
        Part::Field => format!("{status}\r\nx bad name: 1\r\n{fields}"),
        Part::Length => format!("{status}\r\ncontent-length: 1\r\ncontent-length: 2\r\n{fields}"),
        Part::ChunkSize => {
            // The first chunk is good, so that the head has gone out when the next one is read.
            let body = "4\r\nhalf\r\nzz\r\nhalf";
            return format!("{status}\r\ntransfer-encoding: chunked\r\n\r\n{body}").into();
        }
    };
    [head.as_bytes(), &answer.body].concat()
}
