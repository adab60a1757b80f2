//! From raw to ready: protocols and TLS. What stands in the files is read later, when a change is built.

use std::path::Path;

use rustls::{CipherSuite, ProtocolVersion};
use rustls_pki_types::ServerName;

use super::error::{ConfigError, nearest, quoted};
use super::node::child;
use super::raw::{
    RawClientCertificates, RawClientMode, RawListener, RawListenerTls, RawUpstream,
    RawUpstreamProtocol, RawUpstreamTls, RawVersion,
};
use super::ready::{
    Certificate, ClientCertificates, ListenerTls, NamedFile, UpstreamProtocol, UpstreamTls,
};
use super::validate::Checker;
use super::value::Flaw;

/// How a listener speaks TLS.
pub(super) fn listener(
    check: &mut Checker<'_>,
    index: usize,
    raw: &RawListener,
    base: &Path,
) -> Option<ListenerTls> {
    let at = format!("/listeners/{index}/tls");
    let raw = raw.tls.as_ref()?;
    let certificates = raw.certificates.iter().enumerate().map(|(i, one)| {
        let at = child(&child(&at, "certificates"), &i.to_string());
        Certificate {
            certificate: file(check, &child(&at, "certificate"), &one.certificate, base),
            key: file(check, &child(&at, "key"), &one.key, base),
            ocsp: one
                .ocsp
                .as_ref()
                .map(|ocsp| file(check, &child(&at, "ocsp"), ocsp, base)),
        }
    });
    Some(ListenerTls {
        certificates: certificates.collect(),
        versions: raw.versions.iter().map(|one| version(*one)).collect(),
        ciphers: ciphers(check, &child(&at, "ciphers"), raw),
        client_certificates: raw
            .client_certificates
            .as_ref()
            .map(|raw| clients(check, &child(&at, "client_certificates"), raw, base)),
    })
}

/// What the targets of an upstream speak.
pub(super) fn protocol(
    check: &mut Checker<'_>,
    index: usize,
    raw: &RawUpstream,
) -> UpstreamProtocol {
    match raw.protocol {
        RawUpstreamProtocol::Http1 => UpstreamProtocol::Http1,
        RawUpstreamProtocol::Http2 => UpstreamProtocol::Http2,
        RawUpstreamProtocol::Auto => {
            if raw.tls.is_none() {
                check.error(&format!("/upstreams/{index}/protocol"), |place| {
                    ConfigError::new(place, "without tls nothing says what a target speaks")
                        .advice("write http/1.1 or h2, or add tls")
                });
            }
            UpstreamProtocol::Auto
        }
    }
}

/// How the targets of an upstream are spoken to in TLS.
pub(super) fn upstream(
    check: &mut Checker<'_>,
    index: usize,
    raw: &RawUpstream,
    base: &Path,
) -> Option<UpstreamTls> {
    let at = format!("/upstreams/{index}/tls");
    let raw = raw.tls.as_ref()?;
    let server_name = raw.server_name.as_ref().and_then(|name| {
        let flaw = || Flaw::new("a host name such as users.internal, or an IP address");
        let name = ServerName::try_from(name.clone()).map_err(|_| flaw());
        check.value(&child(&at, "server_name"), name)
    });
    if !raw.verify && raw.ca.is_some() {
        check.error(&child(&at, "ca"), |place| {
            ConfigError::new(place, "with verify: false no certificate is checked")
                .advice("leave one of the two out")
        });
    }
    Some(UpstreamTls {
        ca: raw
            .ca
            .as_ref()
            .map(|ca| file(check, &child(&at, "ca"), ca, base)),
        server_name,
        verify: raw.verify,
        certificate: shown(check, &at, raw, base),
        place: check.tree.place(check.file, "", &at),
    })
}

/// What the gateway shows to its targets: both files, or none.
fn shown(
    check: &mut Checker<'_>,
    at: &str,
    raw: &RawUpstreamTls,
    base: &Path,
) -> Option<(NamedFile, NamedFile)> {
    let (certificate, key) = (child(at, "certificate"), child(at, "key"));
    match (&raw.certificate, &raw.key) {
        (Some(one), Some(other)) => Some((
            file(check, &certificate, one, base),
            file(check, &key, other, base),
        )),
        (None, None) => None,
        (one, _) => {
            let (there, missing) = if one.is_some() {
                (certificate, "key")
            } else {
                (key, "certificate")
            };
            check.error(&there, |place| {
                ConfigError::new(place, format!("this needs a {missing} beside it"))
            });
            None
        }
    }
}

fn clients(
    check: &mut Checker<'_>,
    at: &str,
    raw: &RawClientCertificates,
    base: &Path,
) -> ClientCertificates {
    ClientCertificates {
        required: matches!(raw.mode, RawClientMode::Required),
        ca: file(check, &child(at, "ca"), &raw.ca, base),
    }
}

fn file(check: &mut Checker<'_>, pointer: &str, text: &str, base: &Path) -> NamedFile {
    let is_path = !text.is_empty() && !text.contains('\0');
    check.value(
        pointer,
        is_path
            .then_some(())
            .ok_or_else(|| Flaw::new("the path of a file")),
    );
    NamedFile {
        path: base.join(text),
        place: check.tree.place(check.file, "", pointer),
    }
}

fn version(raw: RawVersion) -> ProtocolVersion {
    match raw {
        RawVersion::Tls12 => ProtocolVersion::TLSv1_2,
        RawVersion::Tls13 => ProtocolVersion::TLSv1_3,
    }
}

/// Cipher suites by name; at least one for each version that is spoken.
fn ciphers(check: &mut Checker<'_>, list: &str, raw: &RawListenerTls) -> Vec<CipherSuite> {
    let known = rustls::crypto::ring::ALL_CIPHER_SUITES;
    let named = |suite: CipherSuite| suite.as_str().map(|name| name.replace("TLS13_", "TLS_"));
    let names: Vec<String> = known.iter().filter_map(|one| named(one.suite())).collect();
    let mut chosen = Vec::new();
    for (i, text) in raw.ciphers.iter().enumerate() {
        let found = known
            .iter()
            .find(|one| named(one.suite()).as_deref() == Some(text));
        if let Some(suite) = found {
            chosen.push(*suite);
            continue;
        }
        let near = nearest(text, names.iter().map(String::as_str));
        let flaw = Flaw {
            expected: format!("one of {}", names.join(", ")),
            advice: near.map(|near| format!("did you mean {}?", quoted(near))),
        };
        check.value::<()>(&child(list, &i.to_string()), Err(flaw));
    }
    for version in raw.versions.iter().map(|one| version(*one)) {
        let serves = |one: &rustls::SupportedCipherSuite| one.version().version == version;
        if !chosen.is_empty() && !chosen.iter().any(serves) {
            check.error(list, |place| {
                let name = version.as_str().unwrap_or_default().replace("v1_", " 1.");
                ConfigError::new(place, format!("none of these suites is one of {name}"))
                    .advice("add one, or take the version out of versions")
            });
        }
    }
    chosen
        .iter()
        .map(rustls::SupportedCipherSuite::suite)
        .collect()
}
