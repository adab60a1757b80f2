//! From raw to ready: where clients and operators connect.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

use super::error::ConfigError;
use super::raw::{RawAdmin, RawListener, RawProtocol, RawProxyProtocol};
use super::ready::{Admin, Listener, Protocols, ProxyProtocol, Secret};
use super::tls;
use super::validate::{ADDRESS_TAKEN, Checker, NOWHERE, OTHER, within_schema};
use super::value;
use crate::endpoint::Endpoint;

pub(super) fn admin(check: &mut Checker<'_>, raw: &RawAdmin) -> Admin {
    let address = check.value("/admin/address", value::address(&raw.address));
    if let Some(token) = &raw.token {
        check.value("/admin/token", value::bearer(token));
    }
    let loopback = address.is_none_or(|address| address.ip().is_loopback());
    if !loopback && raw.token.is_none() {
        check.error("/admin/token", |place| {
            ConfigError::new(place, "an admin address that is not loopback needs a token")
                .advice("write token: \"${env:NAME}\", or bind to 127.0.0.1")
        });
    }
    Admin {
        address: address.unwrap_or(NOWHERE),
        token: raw.token.clone().map(Secret::new),
        refused: within_schema(raw.refused),
    }
}

/// `believes` says whether anybody is believed what a PROXY header says.
pub(super) fn listeners(
    check: &mut Checker<'_>,
    raw: &[RawListener],
    admin: SocketAddr,
    (base, believes): (&Path, bool),
) -> Vec<Listener> {
    check.names("/listeners", raw.iter().map(|listener| &*listener.name));
    let mut seen: HashMap<Endpoint, String> = HashMap::new();
    // Port 0 asks the system for a free port, so two of them are not the same address.
    if admin.port() != 0 {
        seen.insert(admin.into(), "/admin/address".to_owned());
    }
    let mut out = Vec::new();
    for (i, listener) in raw.iter().enumerate() {
        let pointer = format!("/listeners/{i}/address");
        let Some(address) = check.value(&pointer, value::endpoint(&listener.address)) else {
            continue;
        };
        if let Some(first) = seen.get(&address).filter(|_| address.port() != Some(0)) {
            check.twice(&pointer, ADDRESS_TAKEN, &first.clone(), OTHER);
        }
        seen.insert(address.clone(), pointer);
        let has = |protocol| listener.protocols.contains(&protocol);
        out.push(Listener {
            name: listener.name.as_str().into(),
            address,
            protocols: Protocols {
                http1: has(RawProtocol::Http1),
                http2: has(RawProtocol::Http2),
            },
            proxy_protocol: proxy_protocol(check, i, listener.proxy_protocol, believes),
            tls: tls::listener(check, i, listener, base),
        });
    }
    out
}

fn proxy_protocol(
    check: &mut Checker<'_>,
    listener: usize,
    raw: RawProxyProtocol,
    believes: bool,
) -> ProxyProtocol {
    let read = match raw {
        RawProxyProtocol::Off => ProxyProtocol::Off,
        RawProxyProtocol::Optional => ProxyProtocol::Optional,
        RawProxyProtocol::Required => ProxyProtocol::Required,
    };
    if read != ProxyProtocol::Off && !believes {
        let pointer = format!("/listeners/{listener}/proxy_protocol");
        check.error(&pointer, |place| {
            let problem =
                "PROXY headers are believed from nobody, because trusted_addresses is empty";
            ConfigError::new(place, problem)
                .advice("put the addresses of the load balancers into trusted_addresses")
        });
    }
    read
}
