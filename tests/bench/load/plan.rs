//! What is to be asked, how often and for how long.

use std::net::SocketAddr;
use std::time::Duration;

use swapgate_bench::{Arguments, Outcome};

/// Longest body that is sent.
const BODY: usize = 64 << 20;

/// The command line, understood.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) target: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) keepalive: bool,
    /// Requests a second that are due, in an open loop.
    pub(crate) rate: Option<f64>,
    pub(crate) warmup: Duration,
    pub(crate) end: End,
    /// Whether lines of the input name windows.
    pub(crate) windows: bool,
    pub(crate) cpu_of: Option<u32>,
    pub(crate) check_stamp: bool,
    /// The heads of all requests, asked for in turn.
    pub(crate) heads: Vec<Vec<u8>>,
    pub(crate) body: Vec<u8>,
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
        let body: usize = arguments.value("--body-bytes")?.unwrap_or(0);
        if body > BODY {
            return Err(format!("--body-bytes cannot be more than {BODY}").into());
        }
        Ok(Self {
            target,
            connections: arguments.value("--connections")?.unwrap_or(32),
            keepalive,
            rate: rate(arguments)?,
            warmup: Duration::from_secs_f64(arguments.value("--warmup")?.unwrap_or(0.0)),
            end: end(arguments)?,
            windows: arguments.flag("--windows"),
            cpu_of: arguments.value("--cpu-of")?,
            check_stamp: arguments.flag("--check-stamp"),
            heads: heads(arguments, target, keepalive, body)?,
            body: vec![b'.'; body],
        })
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

/// One head for each route, in an order that does not walk through a table from its start to its end.
fn heads(
    arguments: &mut Arguments,
    target: SocketAddr,
    keepalive: bool,
    body: usize,
) -> Outcome<Vec<Vec<u8>>> {
    let path = arguments
        .value("--path")?
        .unwrap_or_else(|| String::from("/"));
    let routes: usize = arguments.value("--routes")?.unwrap_or(1).max(1);
    let mut more = String::new();
    while let Some(line) = arguments.value::<String>("--header")? {
        more.push_str(&format!("{line}\r\n"));
    }
    if !keepalive {
        more.push_str("connection: close\r\n");
    }
    if body > 0 {
        more.push_str(&format!("content-length: {body}\r\n"));
    }
    let method = if body > 0 { "POST" } else { "GET" };
    let head = |number| {
        let path = path.replace("{}", &usize::to_string(&number));
        format!("{method} {path} HTTP/1.1\r\nhost: {target}\r\naccept: */*\r\n{more}\r\n")
            .into_bytes()
    };
    Ok(scattered(routes).map(head).collect())
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
