//! Reading answers.

use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Bytes of a body that is not kept which may lie in memory at once.
const PIECE: usize = 256 << 10;

/// What is needed of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Bytes of the head; the rest of the buffer is the body, or the last piece of it.
    pub(crate) head: usize,
    pub(crate) length: usize,
    pub(crate) close: bool,
    pub(crate) stamp: Option<String>,
}

/// Reads one answer; its body stays in the buffer as a whole if it is to be kept.
pub(crate) async fn receive(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    keep: bool,
) -> Result<Answer, String> {
    let answer = loop {
        if let Some(answer) = parse(buffer)? {
            break answer;
        }
        read(stream, buffer).await?;
    };
    let mut got = buffer.len() - answer.head;
    while got < answer.length {
        if !keep && buffer.len() >= PIECE {
            buffer.truncate(answer.head);
        }
        buffer.reserve((answer.length - got).min(PIECE));
        got += read(stream, buffer).await?;
    }
    match got - answer.length {
        0 => Ok(answer),
        extra => Err(format!("{extra} bytes follow the answer")),
    }
}

/// The version that stamped the request, as the upstream saw it, and the one that stamped the answer.
pub(crate) fn stamps(answer: &Answer, body: &[u8]) -> Result<(String, String), String> {
    let seen: Value = serde_json::from_slice(body)
        .map_err(|error| format!("the echo cannot be read: {error}"))?;
    let request = seen["headers"]["x-stamp-request"]
        .as_str()
        .ok_or("the request was not stamped")?;
    let response = answer
        .stamp
        .as_deref()
        .ok_or("the answer was not stamped")?;
    Ok((request.to_owned(), response.to_owned()))
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<usize, String> {
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
        length: 0,
        close: false,
        stamp: None,
    };
    let mut sized = false;
    for header in response.headers.iter() {
        let value = std::str::from_utf8(header.value).unwrap_or("");
        if header.name.eq_ignore_ascii_case("content-length") {
            answer.length = value
                .parse()
                .map_err(|_| format!("the length {value:?} is not a number"))?;
            sized = true;
        } else if header.name.eq_ignore_ascii_case("connection") {
            answer.close = value.eq_ignore_ascii_case("close");
        } else if header.name.eq_ignore_ascii_case("x-stamp-response") {
            answer.stamp = Some(value.to_owned());
        }
    }
    if sized {
        Ok(Some(answer))
    } else {
        Err(String::from("the answer has no content-length"))
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_matters_of_a_head_is_found() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: Close\r\nX-Stamp-Response: 7\r\n\r\n";
        assert!(parse(&head[..40]).unwrap().is_none());
        let answer = parse(head).unwrap().unwrap();
        assert_eq!((answer.status, answer.head), (200, head.len()));
        assert_eq!((answer.length, answer.close), (3, true));
        assert_eq!(answer.stamp.as_deref(), Some("7"));
    }

    #[test]
    fn an_answer_needs_a_length() {
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
