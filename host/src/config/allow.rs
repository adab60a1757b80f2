//! Which addresses plugins may call that are no service of the configuration. Pure: texts against texts.

use std::fmt;
use std::net::IpAddr;

/// The allow list of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList(Vec<Allowed>);

/// One entry: a host, or everything below a domain, a port, and whether TLS is spoken there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    tls: bool,
    host: Host,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// This one.
    Exact(String),
    /// What ends with this; it begins with a dot.
    Below(String),
}

/// Why an entry was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAllowed {
    /// It has a path, a query or a user.
    More,
    /// Its host is none.
    Host,
    /// Its port is none.
    Port,
    /// It begins neither with `http://` nor with `https://`.
    Scheme,
}

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::More => "leave out what follows the host and the port",
            Self::Host => "write a host name, an IP address, or *. before a domain",
            Self::Port => "write a port from 1 to 65535",
            Self::Scheme => "begin with http:// or https://",
        })
    }
}

impl Allowed {
    /// Reads `http://host:port`, `https://*.domain:port`; port 80, and 443 with TLS, may be left out.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, NotAllowed> {
        let (tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(NotAllowed::Scheme),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '@']) {
            return Err(NotAllowed::More);
        }
        let (host, port) = split(authority, tls).ok_or(NotAllowed::Port)?;
        let host = match host.strip_prefix("*.") {
            Some(domain) if is_name(domain) => Host::Below(format!(".{}", normal(domain))),
            None if is_name(host) || ip(host).is_some() => Host::Exact(normal(host)),
            _ => return Err(NotAllowed::Host),
        };
        Ok(Self { tls, host, port })
    }

    fn admits(&self, tls: bool, host: &str, port: u16) -> bool {
        let fits = match &self.host {
            Host::Exact(exact) => host == exact,
            Host::Below(domain) => host.len() > domain.len() && host.ends_with(&**domain),
        };
        fits && self.port == port && self.tls == tls
    }
}

impl AllowList {
    /// A list.
    #[must_use]
    pub fn new(entries: Vec<Allowed>) -> Self {
        Self(entries)
    }

    /// Whether nobody is on it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a host, as it stands in a URL, may be called at a port, in TLS or without.
    #[must_use]
    pub fn admits(&self, tls: bool, host: &str, port: u16) -> bool {
        let host = normal(host);
        self.0.iter().any(|entry| entry.admits(tls, &host, port))
    }
}

/// Host and port; that of the scheme where none stands.
fn split(authority: &str, tls: bool) -> Option<(&str, u16)> {
    let after_v6 = authority.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = authority.get(after_v6..)?.rfind(':') else {
        return Some((authority, if tls { 443 } else { 80 }));
    };
    let (host, port) = authority.split_at_checked(after_v6 + colon)?;
    let port = port.get(1..)?.parse().ok().filter(|port| *port != 0)?;
    Some((host, port))
}

fn is_name(host: &str) -> bool {
    let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    !host.is_empty() && host.len() <= 253 && !host.starts_with('.') && host.chars().all(sign)
}

/// An address, in brackets or not.
pub(crate) fn ip(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

/// One way to write every host.
fn normal(host: &str) -> String {
    match ip(host) {
        Some(address) => address.to_string(),
        None => host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> AllowList {
        let read = |text: &&str| Allowed::parse(text).expect("an entry");
        AllowList::new(entries.iter().map(read).collect())
    }

    #[test]
    fn hosts_domains_and_ports_are_told_apart() {
        let list = list(&[
            "http://127.0.0.1:9000",
            "http://*.Internal",
            "http://auth.example.com:8080/",
            "http://[::1]:9000",
        ]);
        for (host, port, admitted) in [
            ("127.0.0.1", 9000, true),
            ("127.0.0.1", 80, false),
            ("127.0.0.2", 9000, false),
            ("a.internal", 80, true),
            ("A.B.INTERNAL.", 80, true),
            ("internal", 80, false),
            (".internal", 80, false),
            ("evil-internal", 80, false),
            ("a.internal", 81, false),
            ("auth.example.com", 8080, true),
            ("x.auth.example.com", 8080, false),
            ("[::1]", 9000, true),
            ("0:0:0:0:0:0:0:1", 9000, true),
        ] {
            assert_eq!(list.admits(false, host, port), admitted, "{host}:{port}");
        }
    }

    #[test]
    fn an_entry_is_for_tls_or_for_none() {
        let list = list(&["https://auth.example.com", "http://127.0.0.1:443"]);
        assert!(list.admits(true, "auth.example.com", 443));
        assert!(!list.admits(false, "auth.example.com", 443));
        assert!(!list.admits(false, "auth.example.com", 80));
        assert!(!list.admits(true, "127.0.0.1", 443));
    }

    #[test]
    fn what_is_no_entry_is_refused_for_its_reason() {
        for (text, reason) in [
            ("ftp://a", NotAllowed::Scheme),
            ("a:80", NotAllowed::Scheme),
            ("http://", NotAllowed::Host),
            ("http://*", NotAllowed::Host),
            ("http://a*.b", NotAllowed::Host),
            ("http://a/b", NotAllowed::More),
            ("http://u@a", NotAllowed::More),
            ("http://a:0", NotAllowed::Port),
            ("http://a:x", NotAllowed::Port),
            ("http://[::1", NotAllowed::Host),
        ] {
            assert_eq!(Allowed::parse(text), Err(reason), "{text}");
        }
    }
}
