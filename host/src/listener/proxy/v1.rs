//! Version 1: a line of text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::header::{Flaw, Look, Told};

/// What it begins with.
pub(super) const SIGNATURE: &[u8] = b"PROXY ";
/// The longest line, with its end.
pub(super) const LONGEST: usize = 107;

/// Reads what begins with the signature.
pub(super) fn read(bytes: &[u8]) -> Result<Look, Flaw> {
    let seen = bytes.get(..LONGEST).unwrap_or(bytes);
    let Some(end) = seen.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        return if seen.len() < LONGEST {
            Ok(Look::More(seen.len() + 1))
        } else {
            Err(Flaw::Endless)
        };
    };
    match (seen.get(end), seen.get(end + 1)) {
        (Some(b'\r'), Some(b'\n')) => {}
        (Some(b'\r'), None) if seen.len() < LONGEST => return Ok(Look::More(end + 2)),
        (Some(b'\r'), None) => return Err(Flaw::Endless),
        _ => return Err(Flaw::LineEnd),
    }
    let line = seen.get(SIGNATURE.len()..end).unwrap_or_default();
    Ok(Look::Header(told(line)?, end + 2))
}

fn told(line: &[u8]) -> Result<Told, Flaw> {
    let unknown = line.strip_prefix(b"UNKNOWN");
    if unknown.is_some_and(|rest| rest.is_empty() || rest.starts_with(b" ")) {
        // Whatever else it says is to be ignored.
        return Ok(Told::Nobody);
    }
    let line = std::str::from_utf8(line).map_err(|_| Flaw::Fields)?;
    let mut fields = line.split(' ');
    let mut field = || fields.next().ok_or(Flaw::Fields);
    let read: fn(&str) -> Result<IpAddr, Flaw> = match field()? {
        "TCP4" => address::<Ipv4Addr>,
        "TCP6" => address::<Ipv6Addr>,
        _ => return Err(Flaw::Protocol),
    };
    let (source, destination) = (read(field()?)?, read(field()?)?);
    let (from, to) = (port(field()?)?, port(field()?)?);
    if fields.next().is_some() {
        return Err(Flaw::Fields);
    }
    Ok(Told::Ends {
        source: SocketAddr::new(source, from),
        destination: SocketAddr::new(destination, to),
    })
}

fn address<A: FromStr + Into<IpAddr>>(text: &str) -> Result<IpAddr, Flaw> {
    text.parse::<A>().map(Into::into).map_err(|_| Flaw::Address)
}

/// Without a sign and without leading zeros.
fn port(text: &str) -> Result<u16, Flaw> {
    let plain =
        text == "0" || text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let number = plain.then(|| text.parse().ok()).flatten();
    number.ok_or(Flaw::Port)
}
