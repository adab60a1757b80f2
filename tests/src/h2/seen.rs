//! What the gateway said on one connection so far, frame by frame, and judged: what a client must not accept is an error.

use std::collections::BTreeMap;

use super::frame::{Frame, flag, kind, setting};
use super::unpack::{Decoder, Field};
use crate::message::Headers;

/// The payload of a frame that a client which says nothing else takes.
const MAX_FRAME_SIZE: usize = 16_384;

/// Fields that have no meaning in HTTP/2 (RFC 9113, 8.2.2).
const OF_CONNECTIONS: [&str; 5] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

/// Everything the gateway said.
#[derive(Debug, Default)]
pub struct Seen {
    /// Its settings, as they stand now.
    pub settings: BTreeMap<u16, u32>,
    /// How often it sent SETTINGS, and how often it acknowledged ours.
    pub settings_frames: (usize, usize),
    /// The payloads of its answers to PING.
    pub pongs: Vec<Vec<u8>>,
    /// Its answers, by stream.
    pub answers: BTreeMap<u32, Answer>,
    /// Its last GOAWAY: last stream, code and debug data.
    pub goaway: Option<(u32, u32, Vec<u8>)>,
    /// What it added to windows, by stream.
    pub windows: BTreeMap<u32, u64>,
    decoder: Decoder,
    /// A header block that is not whole yet: stream, end of stream, bytes.
    partial: Option<(u32, bool, Vec<u8>)>,
}

/// What came on one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The final status; 0: none yet.
    pub status: u16,
    /// Those before it.
    pub interim: Vec<u16>,
    /// The header fields, without pseudo-header fields.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
    /// The trailers, if any came.
    pub trailers: Option<Headers>,
    /// The gateway's side is over.
    pub ended: bool,
    /// The code of its first RST_STREAM.
    pub reset: Option<u32>,
}

impl Answer {
    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Seen {
    /// What is known of a stream.
    #[must_use]
    pub fn answer(&self, stream: u32) -> Answer {
        self.answers.get(&stream).cloned().unwrap_or_default()
    }

    /// Whether a stream is over, in whichever way.
    #[must_use]
    pub fn is_over(&self, stream: u32) -> bool {
        self.answers
            .get(&stream)
            .is_some_and(|answer| answer.ended || answer.reset.is_some())
    }

    /// The code of the GOAWAY.
    #[must_use]
    pub fn goaway_code(&self) -> Option<u32> {
        self.goaway.as_ref().map(|(_, code, _)| *code)
    }

    /// The client permits a dynamic table of this size from the start.
    pub(crate) fn permit_table(&mut self, size: usize) {
        self.decoder = Decoder::new(size);
    }

    /// Takes in one frame.
    ///
    /// # Errors
    /// What a client must not accept.
    pub fn take(&mut self, frame: &Frame) -> Result<(), String> {
        if frame.payload.len() > MAX_FRAME_SIZE {
            return Err(format!("a frame of {} bytes", frame.payload.len()));
        }
        if self.partial.is_some() && frame.kind != kind::CONTINUATION {
            return Err("a frame within a header block".to_owned());
        }
        let stream = frame.stream;
        match frame.kind {
            kind::SETTINGS => self.take_settings(frame)?,
            kind::PING if frame.has(flag::ACK) => self.pongs.push(frame.payload.clone()),
            kind::PING => {}
            kind::GOAWAY => {
                let last = frame.number_at(0).ok_or("GOAWAY is cut off")?;
                let code = frame.number_at(4).ok_or("GOAWAY is cut off")?;
                self.goaway = Some((last, code, frame.payload[8..].to_vec()));
            }
            kind::WINDOW_UPDATE => {
                let more = frame.number_at(0).filter(|more| *more > 0);
                *self.windows.entry(stream).or_default() += u64::from(more.ok_or("no increment")?);
            }
            kind::RST_STREAM => {
                let code = frame.number_at(0).ok_or("RST_STREAM is cut off")?;
                // The first one counts; what comes after it answers frames that were on their way.
                let answer = self.answers.entry(stream).or_default();
                answer.reset.get_or_insert(code);
            }
            kind::DATA => self.take_data(frame)?,
            kind::HEADERS => {
                let skipped = if frame.has(flag::PRIORITY) { 5 } else { 0 };
                let block = unpadded(frame)?
                    .get(skipped..)
                    .ok_or("HEADERS is cut off")?;
                self.partial = Some((stream, frame.has(flag::END_STREAM), block.to_vec()));
                self.take_block(frame.has(flag::END_HEADERS))?;
            }
            kind::CONTINUATION => {
                let (of, _, block) = self.partial.as_mut().ok_or("CONTINUATION of nothing")?;
                if *of != stream {
                    return Err("CONTINUATION of another stream".to_owned());
                }
                block.extend_from_slice(&frame.payload);
                self.take_block(frame.has(flag::END_HEADERS))?;
            }
            other => return Err(format!("a frame of type {other}")),
        }
        Ok(())
    }

    fn take_settings(&mut self, frame: &Frame) -> Result<(), String> {
        if frame.has(flag::ACK) {
            self.settings_frames.1 += 1;
            return Ok(());
        }
        self.settings_frames.0 += 1;
        for pair in frame.payload.chunks(6) {
            let pair: [u8; 6] = pair.try_into().map_err(|_| "SETTINGS is cut off")?;
            let [n0, n1, v0, v1, v2, v3] = pair;
            let value = u32::from_be_bytes([v0, v1, v2, v3]);
            self.settings.insert(u16::from_be_bytes([n0, n1]), value);
        }
        match self.settings.get(&setting::ENABLE_PUSH) {
            Some(1) => Err("a server that says it takes pushes".to_owned()),
            _ => Ok(()),
        }
    }

    fn take_data(&mut self, frame: &Frame) -> Result<(), String> {
        let bytes = unpadded(frame)?;
        let known = self.answers.get_mut(&frame.stream);
        let Some(answer) = known.filter(|answer| answer.status != 0 && !answer.ended) else {
            return Err(format!("DATA where stream {} has no body", frame.stream));
        };
        answer.body.extend_from_slice(bytes);
        answer.ended = frame.has(flag::END_STREAM);
        Ok(())
    }

    fn take_block(&mut self, whole: bool) -> Result<(), String> {
        let Some((stream, ends, block)) = self.partial.take_if(|_| whole) else {
            return Ok(());
        };
        let fields = self.decoder.decode(&block)?;
        let answer = self.answers.entry(stream).or_default();
        if answer.ended {
            return Err(format!("HEADERS after the end of stream {stream}"));
        }
        answer.ended = ends;
        let (status, headers) = judged(fields)?;
        match (status, answer.status) {
            (Some(status @ 100..=199), 0) if !ends => answer.interim.push(status),
            (Some(status), 0) => (answer.status, answer.headers) = (status, headers),
            (None, 1..) if ends => answer.trailers = Some(headers),
            (status, _) => return Err(format!("HEADERS out of place, status {status:?}")),
        }
        Ok(())
    }
}

/// Status and fields of an answer, or of its trailers.
fn judged(fields: Vec<Field>) -> Result<(Option<u16>, Headers), String> {
    let (mut status, mut headers) = (None, Headers::default());
    for (name, value) in fields {
        let name = String::from_utf8(name).map_err(|error| error.to_string())?;
        let digits = std::str::from_utf8(&value)
            .ok()
            .and_then(|value| value.parse().ok());
        match name.as_str() {
            ":status" if status.is_none() && headers.0.is_empty() => status = digits,
            name if OF_CONNECTIONS.contains(&name) || !is_name(name) || !is_value(&value) => {
                return Err(format!("the field {name}: {}", value.escape_ascii()));
            }
            _ => headers.0.push((name, value)),
        }
    }
    Ok((status, headers))
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
    };
    !name.is_empty() && name.bytes().all(fits)
}

fn is_value(value: &[u8]) -> bool {
    value.trim_ascii().len() == value.len() && !value.iter().any(|byte| b"\r\n\0".contains(byte))
}

fn unpadded(frame: &Frame) -> Result<&[u8], String> {
    if !frame.has(flag::PADDED) {
        return Ok(&frame.payload);
    }
    let (length, rest) = frame.payload.split_first().ok_or("padding is missing")?;
    let end = rest
        .len()
        .checked_sub((*length).into())
        .ok_or("too much padding")?;
    Ok(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h2::{frame, pack};

    #[test]
    fn puts_an_answer_together() {
        let mut seen = Seen::default();
        let (first, second) = (pack::indexed(8), pack::block(&[("x", "1")]));
        let frames = [
            frame::headers(1, first).without(flag::END_HEADERS),
            frame::continuation(1, second),
            frame::data(1, "abc").padded(7),
            frame::headers(1, pack::block(&[("t", "2")])).with(flag::END_STREAM),
        ];
        for frame in &frames {
            seen.take(frame).unwrap();
        }
        let answer = seen.answer(1);
        assert_eq!(
            (answer.status, &*answer.body, answer.ended),
            (200, &b"abc"[..], true)
        );
        assert_eq!(answer.headers.get("x").unwrap(), "1");
        assert_eq!(answer.trailers.unwrap().get("t").unwrap(), "2");
    }

    #[test]
    fn refuses_what_a_client_must_not_accept() {
        let status = || pack::indexed(8);
        let connection = [status(), pack::block(&[("connection", "close")])].concat();
        let upper = [status(), pack::block(&[("X", "1")])].concat();
        let cases: [&[Frame]; 6] = [
            &[frame::data(1, "a")],
            &[frame::headers(1, connection)],
            &[frame::headers(1, upper)],
            &[
                frame::headers(1, status()).with(flag::END_STREAM),
                frame::data(1, "a"),
            ],
            &[
                frame::headers(1, status()).without(flag::END_HEADERS),
                frame::ping([0; 8]),
            ],
            &[frame::window(0, 0)],
        ];
        for frames in cases {
            let mut seen = Seen::default();
            let taken: Result<(), String> = frames.iter().try_for_each(|frame| seen.take(frame));
            assert!(taken.is_err(), "{frames:?}");
        }
    }
}
