//! What is to be asked, how often and for how long.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Request};
use swapgate_bench::{Arguments, Outcome, tls};
use tokio_rustls::TlsConnector;

use crate::crowd::Manner;
use crate::websocket::{KEY, Message};

/// Longest body that is sent, and longest message.
const BODY: usize = 64 << 20;

/// The command line, understood.
pub(crate) struct Plan {
    pub(crate) target: SocketAddr,
    pub(crate) tls: Option<TlsConnector>,
    pub(crate) speech: Speech,
    pub(crate) connections: usize,
    pub(crate) keepalive: bool,
    /// Requests a second that are due, in an open loop.
    pub(crate) rate: Option<f64>,
    pub(crate) warmup: Duration,
    pub(crate) end: End,
    /// A crowd that is held, in the place of a load.
    pub(crate) crowd: Option<Manner>,
    /// How long the slow ones of a crowd wait between two bytes.
    pub(crate) every: Duration,
    /// Whether lines of the input name windows.
    pub(crate) windows: bool,
    pub(crate) cpu_of: Option<u32>,
    pub(crate) check_stamp: bool,
    pub(crate) show: bool,
    /// Whether 503 with everything that belongs to it is a refusal, and no failure.
    pub(crate) refusals: bool,
    /// The heads of all requests, asked for in turn.
    pub(crate) heads: Vec<Vec<u8>>,
    /// The same for HTTP/2.
    pub(crate) requests: Vec<Request<()>>,
    pub(crate) body: Vec<u8>,
}

/// What is spoken over a connection.
#[derive(Debug)]
pub(crate) enum Speech {
    Http1,
    Http2 { streams: usize },
    WebSocket(Message),
}

/// When the measurement ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    After(Duration),
    WithInput,
}

impl Plan {
    pub(crate) fn read(arguments: &mut Arguments) -> Outcome<Self> {
        let target = arguments.required("--target")?;
        let keepalive = !arguments.flag("--no-keepalive");
        let body = at_most(arguments, "--body-bytes", BODY)?.unwrap_or(0);
        let speech = speech(arguments)?;
        if !matches!(speech, Speech::Http1) && (!keepalive || body > 0) {
            return Err("--no-keepalive and --body-bytes are for HTTP/1.1 alone".into());
        }
        let mut plan = Self {
            target,
            tls: None,
            speech,
            connections: arguments.value("--connections")?.unwrap_or(32),
            keepalive,
            rate: rate(arguments)?,
            warmup: Duration::from_secs_f64(arguments.value("--warmup")?.unwrap_or(0.0)),
            end: end(arguments)?,
            crowd: crowd(arguments)?,
            every: Duration::from_millis(arguments.value("--every-ms")?.unwrap_or(1000).max(1)),
            windows: arguments.flag("--windows"),
            cpu_of: arguments.value("--cpu-of")?,
            check_stamp: arguments.flag("--check-stamp"),
            show: arguments.flag("--show"),
            refusals: arguments.flag("--refusals"),
            heads: vec![],
            requests: vec![],
            body: vec![b'.'; body],
        };
        if let Some(file) = arguments.value::<PathBuf>("--tls")? {
            plan.tls = Some(tls::client(&file, plan.protocol())?);
        }
        let (paths, headers) = (paths(arguments)?, headers(arguments)?);
        match plan.speech {
            Speech::Http2 { .. } => plan.requests = plan.make_requests(&paths, &headers)?,
            _ => plan.heads = plan.make_heads(&paths, &headers),
        }
        Ok(plan)
    }

    /// The name of the protocol in a TLS handshake.
    pub(crate) fn protocol(&self) -> &'static [u8] {
        match self.speech {
            Speech::Http2 { .. } => tls::H2,
            Speech::Http1 | Speech::WebSocket(_) => tls::HTTP1,
        }
    }

    /// Whether anybody looks into the bodies of answers.
    pub(crate) fn keeps_bodies(&self) -> bool {
        self.check_stamp || self.show
    }

    fn make_heads(&self, paths: &[String], headers: &[(String, String)]) -> Vec<Vec<u8>> {
        let mut more: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        if matches!(self.speech, Speech::WebSocket(_)) {
            more.push_str("connection: Upgrade\r\nupgrade: websocket\r\n");
            more.push_str("sec-websocket-version: 13\r\n");
            more.push_str(&format!("sec-websocket-key: {KEY}\r\n"));
        }
        if !self.keepalive {
            more.push_str("connection: close\r\n");
        }
        let method = match self.body.len() {
            0 => "GET",
            bytes => {
                more.push_str(&format!("content-length: {bytes}\r\n"));
                "POST"
            }
        };
        let target = self.target;
        let head = |path: &String| {
            format!("{method} {path} HTTP/1.1\r\nhost: {target}\r\naccept: */*\r\n{more}\r\n")
                .into_bytes()
        };
        paths.iter().map(head).collect()
    }

    fn make_requests(
        &self,
        paths: &[String],
        headers: &[(String, String)],
    ) -> Outcome<Vec<Request<()>>> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let target = self.target;
        let request = |path: &String| {
            let mut request = Request::get(format!("{scheme}://{target}{path}"))
                .version(http::Version::HTTP_2)
                .header("accept", "*/*")
                .body(())?;
            for (name, value) in headers {
                let name = HeaderName::try_from(name)?;
                let value = HeaderValue::try_from(value)?;
                request.headers_mut().append(name, value);
            }
            Ok(request)
        };
        paths.iter().map(request).collect()
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, speech, .. } = self;
        write!(f, "{speech:?} with {target}")
    }
}

fn speech(arguments: &mut Arguments) -> Outcome<Speech> {
    let streams = at_most(arguments, "--streams", 1000)?;
    let message = at_most(arguments, "--websocket", BODY)?;
    match (streams, message) {
        (None, None) => Ok(Speech::Http1),
        (Some(streams @ 1..), None) => Ok(Speech::Http2 { streams }),
        (Some(0), None) => Err("--streams cannot be 0".into()),
        (None, Some(bytes)) => Ok(Speech::WebSocket(Message::of(bytes))),
        (Some(_), Some(_)) => Err("--streams and --websocket exclude each other".into()),
    }
}

fn crowd(arguments: &mut Arguments) -> Outcome<Option<Manner>> {
    let Some(manner) = arguments.value::<String>("--crowd")? else {
        return Ok(None);
    };
    match &*manner {
        "idle" => Ok(Some(Manner::Idle)),
        "readers" => Ok(Some(Manner::Reads)),
        "senders" => Ok(Some(Manner::Sends)),
        _ => Err(format!("--crowd is idle, readers or senders, and not {manner:?}").into()),
    }
}

fn at_most(arguments: &mut Arguments, name: &str, most: usize) -> Outcome<Option<usize>> {
    match arguments.value(name)? {
        Some(number) if number > most => Err(format!("{name} cannot be more than {most}").into()),
        number => Ok(number),
    }
}

fn rate(arguments: &mut Arguments) -> Outcome<Option<f64>> {
    match arguments.value("--rate")? {
        Some(rate) if !(0.01..=1e6).contains(&rate) => {
            Err("--rate must lie between 0.01 and 1000000 requests a second".into())
        }
        rate => Ok(rate),
    }
}

fn end(arguments: &mut Arguments) -> Outcome<End> {
    match (arguments.flag("--until-eof"), arguments.value("--seconds")?) {
        (true, None) => Ok(End::WithInput),
        (false, Some(seconds)) => Ok(End::After(Duration::from_secs_f64(seconds))),
        _ => Err("either --seconds or --until-eof must be given".into()),
    }
}

/// One path for each route, in an order that does not walk through a table from its start to its end.
fn paths(arguments: &mut Arguments) -> Outcome<Vec<String>> {
    let path = arguments
        .value("--path")?
        .unwrap_or_else(|| String::from("/"));
    let routes: usize = arguments.value("--routes")?.unwrap_or(1).max(1);
    let path = |number| path.replace("{}", &usize::to_string(&number));
    Ok(scattered(routes).map(path).collect())
}

/// Names and values of what goes with every request.
fn headers(arguments: &mut Arguments) -> Outcome<Vec<(String, String)>> {
    let mut headers = Vec::new();
    while let Some(line) = arguments.value::<String>("--header")? {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| format!("--header {line:?} has no colon"))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok(headers)
}

/// Every number below `count` once, far from the ones before it.
fn scattered(count: usize) -> impl Iterator<Item = usize> {
    const PRIME: usize = 7919;
    let step = if count.is_multiple_of(PRIME) {
        1
    } else {
        PRIME
    };
    (0..count).map(move |turn| turn * step % count)
}

#[cfg(test)]
mod tests {
    use super::scattered;

    #[test]
    fn every_route_is_asked_once() {
        for count in [1, 2, 5000, 7919, 15838] {
            let mut numbers: Vec<usize> = scattered(count).collect();
            numbers.sort_unstable();
            assert_eq!(numbers, (0..count).collect::<Vec<_>>());
        }
    }
}
