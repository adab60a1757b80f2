//! What a process without privileges cannot do any more, and what to do about it.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use super::Account;

/// Those of the files that only root can read, in one sentence; a reload would be refused for them.
#[must_use]
pub fn unreadable<'a>(account: &Account, files: impl Iterator<Item = &'a Path>) -> Option<String> {
    let mut names = String::new();
    for file in files.filter(|file| file.exists() && fs::File::open(file).is_err()) {
        let separator = if names.is_empty() { "" } else { ", " };
        let _ = write!(names, "{separator}{}", file.display());
    }
    let name = account.name();
    (!names.is_empty()).then(|| format!("{name} cannot read {names}: what was read at the start serves until a restart, and a reload or an upgrade that needs them is refused; let {name} or its group read them"))
}

/// What to add to a refusal to bind a low port.
#[must_use]
pub fn low_port_advice(port: u16, error: &io::Error) -> Option<String> {
    let first = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let first = first.ok().and_then(|text| text.trim().parse().ok());
    let is_low = port != 0 && port < first.unwrap_or(1024);
    let refused = error.kind() == io::ErrorKind::PermissionDenied;
    (is_low && refused).then(|| {
        format!("ports below {} are for root, which this process is not or is no more; restart it as root, give it AmbientCapabilities=CAP_NET_BIND_SERVICE, or have a socket unit pass the socket", first.unwrap_or(1024))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_low_ports_that_are_refused_get_the_advice() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let taken = io::Error::from(io::ErrorKind::AddrInUse);
        assert!(low_port_advice(65_000, &denied).is_none());
        assert!(low_port_advice(1, &taken).is_none());
        assert!(low_port_advice(0, &denied).is_none());
    }
}
