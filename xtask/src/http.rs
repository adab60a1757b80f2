//! Just enough HTTP to ask an admin listener, and a gateway whether it does its work.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::failure::{Context, Outcome};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer whose body has a length or ends with the connection.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// By names in lower case; the last of several stays.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// What `GET path` answers.
pub(crate) fn get_json(address: &str, path: &str) -> Outcome<Value> {
    let what = format!("http://{address}{path}");
    let answer = get(address, path, &[]).context(&what)?;
    serde_json::from_str(&answer.body).context(format_args!("{what} did not answer with JSON"))
}

/// Asks over a connection of its own.
pub(crate) fn get(address: &str, path: &str, headers: &[(&str, &str)]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\n{headers}connection: close\r\n\r\n"
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    read(&text).map_err(io::Error::other)
}

fn read(text: &str) -> Result<Answer, &'static str> {
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or("the answer has no head")?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    if headers.contains_key("transfer-encoding") {
        return Err("the answer comes in chunks, which is not read here");
    }
    Ok(Answer {
        status: status
            .and_then(|status| status.parse().ok())
            .ok_or("the answer has no status")?,
        headers,
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn an_answer_is_taken_apart() {
        let answer = read("HTTP/1.1 401 Unauthorized\r\nX-One:  1\r\nB: 2\r\n\r\nno").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (401, "no"));
        assert_eq!(
            (&*answer.headers["x-one"], &*answer.headers["b"]),
            ("1", "2")
        );
        assert!(read("HTTP/1.1 200 OK\r\n").is_err());
    }
}
