//! Just enough HTTP to ask an admin listener.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::failure::{Context, Failure, Outcome};

/// How long an admin listener may take for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What `GET path` answers.
pub(crate) fn get_json(address: &str, path: &str) -> Outcome<Value> {
    let what = format!("http://{address}{path}");
    let text = get(address, path).context(&what)?;
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or_else(|| Failure::new(format!("{what} answered without a head")))?;
    if head.to_ascii_lowercase().contains("\r\ntransfer-encoding:") {
        return Err(Failure::new(format!(
            "{what} answered in chunks, which is not read here"
        )));
    }
    serde_json::from_str(body).context(format_args!("{what} did not answer with JSON"))
}

fn get(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
