//! Single values: from a text to a type that cannot be wrong.
//!
//! Each function says in words what it expects; the caller knows the place and what was found.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use ipnet::IpNet;

use super::error::nearest;
use super::ready::{AllowedAddress, SRV, TargetAddress};
use crate::endpoint::{Endpoint, UNIX};
use crate::ops::allow::Allowed;

/// What a duration looks like.
pub(super) const DURATION: &str = "a time with a unit such as 250ms, 5s or 1m";
/// What a size looks like.
pub(super) const SIZE: &str = "a number of bytes, or a text with a unit such as 64KiB or 10MB";

/// Why a value was refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) expected: String,
    pub(super) advice: Option<String>,
}

impl Flaw {
    pub(super) fn new(expected: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            advice: None,
        }
    }

    fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

/// `250ms`, `5s`, `1m`, `2h`; never zero, at most a year.
pub(super) fn duration(text: &str) -> Result<Duration, Flaw> {
    const YEAR_MS: u64 = 365 * 24 * 3_600_000;
    let (number, unit) = number_and_unit(text).ok_or_else(|| Flaw::new(DURATION))?;
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "" => return Err(Flaw::new(DURATION).advice("add the unit")),
        _ => return Err(Flaw::new(DURATION).advice("use one of the units ms, s, m and h")),
    };
    match number.checked_mul(factor) {
        Some(0) => Err(Flaw::new("a time longer than zero")),
        Some(ms) if ms <= YEAR_MS => Ok(Duration::from_millis(ms)),
        _ => Err(Flaw::new("at most 8760h")),
    }
}

/// `65536`, `64KiB`, `10MB`.
pub(super) fn size(text: &str) -> Result<u64, Flaw> {
    let (number, unit) = number_and_unit(text).ok_or_else(|| Flaw::new(SIZE))?;
    let factor: u64 = match unit {
        "" | "B" => 1,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => {
            return Err(
                Flaw::new(SIZE).advice("use one of the units B, KB, MB, GB, KiB, MiB and GiB")
            );
        }
    };
    number
        .checked_mul(factor)
        .filter(|bytes| *bytes <= i64::MAX as u64)
        .ok_or_else(|| Flaw::new("at most 8589934591GiB"))
}

/// An IP address with a port.
pub(super) fn address(text: &str) -> Result<SocketAddr, Flaw> {
    const EXPECTED: &str = "an IP address and a port such as 127.0.0.1:8000 or [::1]:8000";
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let flaw = Flaw::new(EXPECTED);
    if text.parse::<IpAddr>().is_ok() {
        return Err(flaw.advice("add the port"));
    }
    if let Some(port) = text.strip_prefix(':').or_else(|| text.strip_prefix("*:")) {
        return Err(flaw.advice(format!(
            "for every address of the machine write 0.0.0.0:{port}"
        )));
    }
    if text.contains("://") {
        return Err(flaw.advice("leave the scheme out"));
    }
    let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
    let name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    if host.chars().any(char::is_alphabetic) && host.chars().all(name) {
        return Err(flaw.advice("a name is not enough here, write the IP address"));
    }
    Err(flaw)
}

/// An IP address with a port, or the path of a Unix socket.
pub(super) fn endpoint(text: &str) -> Result<Endpoint, Flaw> {
    match text.strip_prefix(UNIX) {
        Some(path) => unix(path),
        None => address(text).map(Endpoint::Tcp),
    }
}

/// The path of a Unix socket. It is absolute, because a gateway may be started from anywhere.
fn unix(path: &str) -> Result<Endpoint, Flaw> {
    /// `sun_path` of unix(7), with the zero at its end.
    const LONGEST: usize = 107;
    if !path.starts_with('/') || path.contains('\0') {
        return Err(Flaw::new(
            "unix: and an absolute path such as unix:/run/swapgate.sock",
        ));
    }
    if path.len() > LONGEST {
        return Err(Flaw::new(
            "a path of at most 107 bytes, because the system takes no longer one",
        ));
    }
    Ok(Endpoint::Unix(Path::new(path).into()))
}

/// Where one can connect to.
pub(super) fn target(text: &str) -> Result<TargetAddress, Flaw> {
    if let Some(name) = text.strip_prefix(SRV) {
        let flaw =
            || Flaw::new("srv: and the name of a service such as srv:_http._tcp.users.internal");
        return Ok(TargetAddress::Service(dns_name(name).ok_or_else(flaw)?));
    }
    if text.starts_with(UNIX) {
        return endpoint(text).map(TargetAddress::Fixed);
    }
    let Ok(address) = text.parse::<SocketAddr>() else {
        return named(text);
    };
    if address.port() == 0 {
        return Err(Flaw::new("a port from 1 to 65535"));
    }
    if address.ip().is_unspecified() {
        return Err(Flaw::new("an address that can be connected to")
            .advice("for this machine write 127.0.0.1 or [::1]"));
    }
    Ok(TargetAddress::Fixed(address.into()))
}

/// A name with a port.
fn named(text: &str) -> Result<TargetAddress, Flaw> {
    let flaw = || {
        Flaw::new("an address or a name, and a port, such as 10.0.0.1:8080 or users.internal:8080")
    };
    if text.parse::<IpAddr>().is_ok() || dns_name(text).is_some() {
        return Err(flaw().advice("add the port"));
    }
    if text.contains("://") {
        return Err(flaw().advice("leave the scheme out"));
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(flaw)?;
    let host = dns_name(host).ok_or_else(flaw)?;
    let port = port.parse().map_err(|_| flaw())?;
    if port == 0 {
        return Err(Flaw::new("a port from 1 to 65535"));
    }
    Ok(TargetAddress::Name { host, port })
}

/// A name of the DNS, in lower case (RFC 1035, 2.3.1; underscores as RFC 2782 has them). What looks like an IPv4 address is
/// none: the last label is not a number (RFC 3696, 2).
fn dns_name(text: &str) -> Option<Arc<str>> {
    let whole = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let last = whole.rsplit('.').next().unwrap_or(whole);
    let good = whole.len() <= 253
        && whole.split('.').all(label)
        && !last.bytes().all(|byte| byte.is_ascii_digit());
    good.then(|| text.to_ascii_lowercase().into())
}

/// An address or a network.
pub(super) fn network(text: &str) -> Result<IpNet, Flaw> {
    let net = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    net.map(|net| net.trunc())
        .map_err(|_| Flaw::new("an IP address or a network such as 10.0.0.0/8 or fd00::/8"))
}

/// A host and a port that plugins may call.
pub(super) fn allowed(text: &str) -> Result<Allowed, Flaw> {
    const EXPECTED: &str =
        "a host and a port such as http://127.0.0.1:9000 or http://*.internal:80";
    Allowed::parse(text).map_err(|why| Flaw::new(EXPECTED).advice(why.to_string()))
}

/// An address or a network, and a port.
pub(super) fn allowed_address(text: &str) -> Result<AllowedAddress, Flaw> {
    let flaw = || {
        Flaw::new(
            "an IP address or a network, and a port or *, such as 10.0.0.0/8:8080 or [fd00::/8]:*",
        )
    };
    let (net, port) = text.rsplit_once(':').ok_or_else(flaw)?;
    let bare = net.strip_prefix('[').and_then(|net| net.strip_suffix(']'));
    let network = network(bare.unwrap_or(net)).map_err(|_| flaw())?;
    let is_v6 = matches!(network, IpNet::V6(_));
    if is_v6 != bare.is_some() {
        return Err(flaw());
    }
    let port = match port {
        "*" => None,
        port => Some(
            port.parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(flaw)?,
        ),
    };
    Ok(AllowedAddress { network, port })
}

/// A method; the standard ones must be in capitals, for methods are compared letter by letter.
pub(super) fn method(text: &str) -> Result<Method, Flaw> {
    const KNOWN: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
    ];
    let flaw = || Flaw::new("a method such as GET or POST");
    if KNOWN.contains(&text) {
        return Method::from_bytes(text.as_bytes()).map_err(|_| flaw());
    }
    let capitals = text.to_ascii_uppercase();
    if let Some(near) = nearest(&capitals, KNOWN) {
        return Err(flaw().advice(format!("did you mean {near}?")));
    }
    Method::from_bytes(text.as_bytes()).map_err(|_| flaw())
}

/// A name of an entity: it stands in logs, in status and later in metric labels.
pub(super) fn name(text: &str) -> Result<(), Flaw> {
    const LONGEST: usize = 128;
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    if text.is_empty() || text.chars().count() > LONGEST || !text.chars().all(fits) {
        return Err(Flaw::new(format!(
            "1 to {LONGEST} letters, digits, \"-\", \"_\", \".\" or \"~\""
        )));
    }
    Ok(())
}

/// A token (RFC 9110, 5.6.2).
pub(super) fn token(text: &str) -> Result<(), Flaw> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.is_empty() || text.len() > 255 || !text.bytes().all(fits) {
        return Err(Flaw::new(
            "a token: letters, digits and !#$%&'*+-.^_`|~ without spaces",
        ));
    }
    Ok(())
}

/// A bearer token (RFC 6750, 2.1) that is not trivially short.
pub(super) fn bearer(text: &str) -> Result<(), Flaw> {
    let fits = |b: u8| b.is_ascii_graphic();
    if text.len() < 8 || text.len() > 4096 || !text.bytes().all(fits) {
        return Err(Flaw::new(
            "8 to 4096 visible ASCII characters without spaces",
        ));
    }
    Ok(())
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.strip_prefix(' ').unwrap_or(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_need_units_that_are_known() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        for wrong in [
            "",
            "5",
            "s",
            "0s",
            "1d",
            "-1s",
            "1.5s",
            "99999999999999999999s",
            "18446744073709551615h",
            "9000h",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(size("64KiB"), Ok(65536));
        assert_eq!(size("10MB"), Ok(10_000_000));
        assert_eq!(size("7"), Ok(7));
        for wrong in [
            "",
            "KiB",
            "1kib",
            "1 TB",
            "-1",
            "18446744073709551615",
            "99999999999GiB",
        ] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_are_ip_and_port() {
        assert!(address("[::1]:80").is_ok());
        assert!(address("0.0.0.0:0").is_ok());
        for wrong in [
            "",
            "127.0.0.1",
            ":80",
            "*:80",
            "localhost:80",
            "http://1.2.3.4:80",
            "1.2.3.4:99999",
            "::1:80x",
        ] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
        assert!(target("1.2.3.4:0").is_err());
        assert!(target("0.0.0.0:80").is_err());
        assert_eq!(network("10.1.2.3/8"), Ok("10.0.0.0/8".parse().unwrap()));
        assert_eq!(network("::1"), Ok("::1/128".parse().unwrap()));
        assert!(network("10.0.0.0/33").is_err());
    }

    #[test]
    fn allowed_addresses_are_networks_with_a_port() {
        let admits = |text: &str, address: &str| {
            let allowed = allowed_address(text).unwrap();
            allowed.admits(address.parse().unwrap())
        };
        assert!(admits("10.0.0.0/8:80", "10.9.9.9:80"));
        assert!(!admits("10.0.0.0/8:80", "10.9.9.9:81"));
        assert!(!admits("10.0.0.0/8:80", "11.9.9.9:80"));
        assert!(admits("127.0.0.1:*", "127.0.0.1:9"));
        assert!(admits("127.0.0.1:*", "[::ffff:127.0.0.1]:9"));
        assert!(admits("[fd00::/8]:443", "[fd00::1]:443"));
        for wrong in [
            "",
            "10.0.0.1",
            "10.0.0.1:",
            "10.0.0.1:0",
            "fd00::/8:1",
            "[10.0.0.1]:1",
            "a:1",
        ] {
            assert!(allowed_address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn methods_are_compared_letter_by_letter() {
        assert_eq!(method("GET"), Ok(Method::GET));
        assert!(method("PURGE").is_ok());
        for wrong in ["get", "GETT", "", "A B"] {
            assert!(method(wrong).is_err(), "{wrong}");
        }
    }
}
