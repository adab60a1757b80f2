//! Reading answers.

use serde_json::Value;
use tokio::io::AsyncReadExt;

use crate::chunks::Chunks;
use crate::stream::Stream;

/// Bytes of a body that is not kept which may lie in memory at once.
const PIECE: usize = 256 << 10;

/// What is needed of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Bytes of the head; the rest of the buffer is the body, or the last piece of it.
    pub(crate) head: usize,
    pub(crate) length: Length,
    pub(crate) close: bool,
    pub(crate) marks: Marks,
    /// Whether it says when to come again, and is a problem in JSON: how a gateway refuses.
    pub(crate) refusal: Refusal,
}

/// What the head of a refusal says.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Refusal {
    pub(crate) retry_after: bool,
    pub(crate) problem: bool,
}

impl Refusal {
    /// Takes in a field; the name in whatever case.
    pub(crate) fn field(&mut self, name: &str, value: &[u8]) {
        if name.eq_ignore_ascii_case("retry-after") {
            self.retry_after = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        } else if name.eq_ignore_ascii_case("content-type") {
            self.problem = value.starts_with(b"application/problem+json");
        }
    }
}

/// What plugins put on an answer, and on its request before the upstream echoed that.
#[derive(Debug, Default, Clone)]
pub(crate) struct Marks {
    /// The version of the plugin `stamp`.
    pub(crate) stamp: Option<String>,
    /// The configuration, where that marks what it serves.
    pub(crate) config: Option<String>,
}

impl Marks {
    /// Takes in a field; the name in whatever case.
    pub(crate) fn field(&mut self, name: &str, value: &[u8]) {
        let text = || Some(String::from_utf8_lossy(value).into_owned());
        if name.eq_ignore_ascii_case("x-stamp-response") {
            self.stamp = text();
        } else if name.eq_ignore_ascii_case("x-config-response") {
            self.config = text();
        }
    }

    /// The same of the request, as the upstream saw it.
    pub(crate) fn echoed(body: &[u8]) -> Result<Self, String> {
        let seen: Value = serde_json::from_slice(body)
            .map_err(|error| format!("the echo cannot be read: {error}"))?;
        let header = |name: &str| seen["headers"][name].as_str().map(str::to_owned);
        Ok(Self {
            stamp: header("x-stamp-request"),
            config: header("x-config-request"),
        })
    }
}

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Length {
    Bytes(usize),
    /// As long as its chunks say.
    Chunks,
}

/// Reads one answer; its body stays in the buffer as a whole if it is to be kept.
pub(crate) async fn receive(
    stream: &mut Stream,
    buffer: &mut Vec<u8>,
    keep: bool,
) -> Result<Answer, String> {
    let answer = loop {
        if let Some(answer) = parse(buffer)? {
            break answer;
        }
        read(stream, buffer).await?;
    };
    let extra = match answer.length {
        Length::Bytes(length) => {
            let head = answer.head;
            receive_bytes(stream, buffer, head, length, keep).await?
        }
        Length::Chunks => receive_chunks(stream, buffer, answer.head, keep).await?,
    };
    match extra {
        0 => Ok(answer),
        extra => Err(format!("{extra} bytes follow the answer")),
    }
}

/// How many bytes came that do not belong to the answer.
async fn receive_bytes(
    stream: &mut Stream,
    buffer: &mut Vec<u8>,
    head: usize,
    length: usize,
    keep: bool,
) -> Result<usize, String> {
    let mut got = buffer.len() - head;
    while got < length {
        if !keep && buffer.len() >= PIECE {
            buffer.truncate(head);
        }
        buffer.reserve((length - got).min(PIECE));
        got += read(stream, buffer).await?;
    }
    Ok(got - length)
}

/// Puts the data of the chunks in the place of the chunks; how many bytes came that do not belong to the answer.
async fn receive_chunks(
    stream: &mut Stream,
    buffer: &mut Vec<u8>,
    head: usize,
    keep: bool,
) -> Result<usize, String> {
    let mut chunks = Chunks::default();
    let mut raw = buffer.split_off(head);
    loop {
        let extra = chunks.feed(&raw, |data| {
            if keep {
                buffer.extend(data);
            }
        })?;
        if chunks.done() {
            return Ok(extra);
        }
        raw.clear();
        raw.reserve(PIECE);
        read(stream, &mut raw).await?;
    }
}

async fn read(stream: &mut Stream, buffer: &mut Vec<u8>) -> Result<usize, String> {
    let read = stream
        .read_buf(buffer)
        .await
        .map_err(|error| format!("cannot receive: {error}"))?;
    if read == 0 {
        return Err(format!(
            "the connection ended after {} bytes of an answer",
            buffer.len()
        ));
    }
    Ok(read)
}

fn parse(buffer: &[u8]) -> Result<Option<Answer>, String> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let status = response
        .parse(buffer)
        .map_err(|error| format!("the answer is not HTTP: {error}"))?;
    let httparse::Status::Complete(head) = status else {
        return Ok(None);
    };
    let mut answer = Answer {
        status: response.code.unwrap_or(0),
        head,
        length: Length::Bytes(0),
        close: false,
        marks: Marks::default(),
        refusal: Refusal::default(),
    };
    let mut sized = false;
    for header in response.headers.iter() {
        answer.refusal.field(header.name, header.value);
        answer.marks.field(header.name, header.value);
        let value = std::str::from_utf8(header.value).unwrap_or("");
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = value
                .parse()
                .map_err(|_| format!("the length {value:?} is not a number"))?;
            answer.length = Length::Bytes(length);
            sized = true;
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            answer.length = Length::Chunks;
            sized = true;
        } else if header.name.eq_ignore_ascii_case("connection") {
            answer.close = value.eq_ignore_ascii_case("close");
        }
    }
    if sized {
        Ok(Some(answer))
    } else {
        Err(String::from("the answer has neither a length nor chunks"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Length, parse};

    #[test]
    fn what_matters_of_a_head_is_found() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: Close\r\nX-Stamp-Response: 7\r\n\r\n";
        assert!(parse(&head[..40]).unwrap().is_none());
        let answer = parse(head).unwrap().unwrap();
        assert_eq!((answer.status, answer.head), (200, head.len()));
        assert_eq!((answer.length, answer.close), (Length::Bytes(3), true));
        assert_eq!(answer.marks.stamp.as_deref(), Some("7"));
    }

    #[test]
    fn an_answer_needs_a_length() {
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = parse(chunked).unwrap().unwrap();
        assert_eq!(answer.length, Length::Chunks);
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
