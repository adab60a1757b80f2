//! From raw to ready: what clients may use, how long they may take, and which of their headers count.

use http::HeaderName;

use super::node::child;
use super::raw::{RawClientHeaders, RawClientTimeouts, RawLimits, RawSize, RawUnderscores};
use super::ready::{ClientHeaders, ClientTimeouts, Identity, Limits, Underscores};
use super::validate::{Checker, within_schema};
use super::value::Flaw;

/// What says where a message ends and whom it is for; no request is one without it.
const NOT_IDENTITY: [&str; 6] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "te",
    "upgrade",
];

pub(super) fn limits(check: &mut Checker<'_>, raw: &RawLimits) -> Limits {
    // hyper asks for a buffer of 8 KiB at least; a head above 16 MiB is an attack, not a request.
    const HEADS: std::ops::RangeInclusive<u64> = 8 << 10..=16 << 20;
    let within = |bytes: &u64| HEADS.contains(bytes);
    let flaw = || Flaw::new("a size from 8KiB to 16MiB");
    let header_bytes = check
        .size("/limits/header_bytes", &raw.header_bytes)
        .map(|bytes| Some(bytes).filter(within).ok_or_else(flaw))
        .and_then(|result| check.value("/limits/header_bytes", result));
    Limits {
        header_bytes: within_schema(header_bytes.unwrap_or_default()),
        uri_bytes: within_schema(uri_bytes(check, &raw.uri_bytes)),
        headers: within_schema(raw.headers),
        body_bytes: check
            .size("/limits/body_bytes", &raw.body_bytes)
            .unwrap_or_default(),
        connections: within_schema(raw.connections),
        connections_per_address: raw.connections_per_address.map(within_schema),
        streams: u32::try_from(raw.streams).unwrap_or(u32::MAX),
        plugin_wait: check.duration("/limits/plugin_wait", &raw.plugin_wait),
    }
}

/// RFC 9110, 4.1: everybody should take targets of 8000 bytes at least.
fn uri_bytes(check: &mut Checker<'_>, raw: &RawSize) -> u64 {
    // The type that holds a target takes no more than 65,534 bytes; what is longer the parser refuses by itself.
    const TARGETS: std::ops::RangeInclusive<u64> = 1 << 10..=64 << 10;
    let within = |bytes: &u64| TARGETS.contains(bytes);
    let flaw = || Flaw::new("a size from 1KiB to 64KiB");
    check
        .size("/limits/uri_bytes", raw)
        .map(|bytes| Some(bytes).filter(within).ok_or_else(flaw))
        .and_then(|result| check.value("/limits/uri_bytes", result))
        .unwrap_or_default()
}

pub(super) fn client_timeouts(check: &mut Checker<'_>, raw: &RawClientTimeouts) -> ClientTimeouts {
    ClientTimeouts {
        handshake: check.duration("/client_timeouts/handshake", &raw.handshake),
        header: check.duration("/client_timeouts/header", &raw.header),
        body: check.duration("/client_timeouts/body", &raw.body),
        idle: check.duration("/client_timeouts/idle", &raw.idle),
    }
}

pub(super) fn client_headers(check: &mut Checker<'_>, raw: &RawClientHeaders) -> ClientHeaders {
    let mut identity = Vec::with_capacity(raw.identity.len());
    for (i, text) in raw.identity.iter().enumerate() {
        let pointer = child("/client_headers/identity", &i.to_string());
        identity.extend(check.value(&pointer, one_identity(text)));
    }
    ClientHeaders {
        underscores: match raw.underscores {
            RawUnderscores::Drop => Underscores::Drop,
            RawUnderscores::Reject => Underscores::Reject,
            RawUnderscores::Allow => Underscores::Allow,
        },
        identity,
    }
}

fn one_identity(text: &str) -> Result<Identity, Flaw> {
    let flaw =
        || Flaw::new("the name of a header such as x-user-id, or its beginning such as x-user-*");
    let name = |text: &str| HeaderName::from_bytes(text.as_bytes()).map_err(|_| flaw());
    let taken = |begins: &dyn Fn(&str) -> bool| NOT_IDENTITY.iter().any(|name| begins(name));
    let needed = || Flaw::new("a header that a request can be without");
    match text.strip_suffix('*') {
        Some(prefix) if !prefix.contains('*') => {
            let prefix = name(prefix)?;
            if taken(&|name| name.starts_with(prefix.as_str())) {
                return Err(needed());
            }
            Ok(Identity::Prefix(prefix.as_str().into()))
        }
        None if !text.contains('*') => {
            let name = name(text)?;
            if taken(&|needed| needed == name.as_str()) {
                return Err(needed());
            }
            Ok(Identity::Name(name))
        }
        _ => Err(flaw()),
    }
}
