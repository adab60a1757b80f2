//! Values that say where: addresses, names, sockets, networks.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;

use super::Flaw;
use crate::config::allow::Allowed;
use crate::config::ready::{AllowedAddress, SRV, TargetAddress};
use crate::endpoint::{Endpoint, UNIX};

/// An IP address with a port.
pub(in crate::config) fn address(text: &str) -> Result<SocketAddr, Flaw> {
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
pub(in crate::config) fn endpoint(text: &str) -> Result<Endpoint, Flaw> {
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
pub(in crate::config) fn target(text: &str) -> Result<TargetAddress, Flaw> {
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
pub(in crate::config) fn network(text: &str) -> Result<IpNet, Flaw> {
    let net = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    net.map(|net| net.trunc())
        .map_err(|_| Flaw::new("an IP address or a network such as 10.0.0.0/8 or fd00::/8"))
}

/// A host and a port that plugins may call.
pub(in crate::config) fn allowed(text: &str) -> Result<Allowed, Flaw> {
    const EXPECTED: &str =
        "a host and a port such as http://127.0.0.1:9000 or http://*.internal:80";
    Allowed::parse(text).map_err(|why| Flaw::new(EXPECTED).advice(why.to_string()))
}

/// An address or a network, and a port.
pub(in crate::config) fn allowed_address(text: &str) -> Result<AllowedAddress, Flaw> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
