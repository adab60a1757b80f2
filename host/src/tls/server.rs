//! What a listener shows its clients.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SignatureAlgorithm};

use super::choice::Choice;
use super::facts::{Facts, Moment};
use super::files::Reader;
use super::sessions::{Policy, Sessions};
use super::shown::Shown;
use super::{ocsp, pem};
use crate::config::ConfigError;
use crate::config::ready::{Certificate, ClientCertificates, Listener, ListenerTls, Protocols};

/// What a listener shows its clients.
#[derive(Debug, Clone)]
pub struct Server {
    /// What the library needs.
    pub config: Arc<ServerConfig>,
    /// Which certificate belongs to a name.
    pub choice: Arc<Choice>,
    /// Its certificates, in their order.
    pub shown: Vec<Shown>,
    /// What its sessions satisfied.
    pub policy: Policy,
}

/// Makes what a listener shows its clients of the files it names.
///
/// # Errors
/// Every file that cannot be used.
pub fn build(
    listener: &Listener,
    tls: &ListenerTls,
    reader: &mut Reader,
    sessions: &mut Sessions,
) -> Result<Server, Vec<ConfigError>> {
    let provider = Arc::new(provider(tls));
    let mut errors = Vec::new();
    let mut choice = Choice::default();
    let mut shown = Vec::new();
    for files in &tls.certificates {
        match certificate(files, reader, &provider) {
            Ok((key, mut one)) => {
                let hidden = choice.add(key, &one.facts.names);
                one.notes.extend(hidden_note(files, &one.facts, &hidden));
                shown.push(one);
            }
            Err(flaws) => errors.extend(flaws),
        }
    }
    let clients = tls.client_certificates.as_ref();
    let verifier = clients.map(|clients| verifier(clients, reader, &provider));
    let verifier = verifier.transpose().map_err(|error| errors.push(error));
    let (true, Ok(verifier)) = (errors.is_empty(), verifier) else {
        return Err(errors);
    };
    let policy = Policy {
        listener: Arc::clone(&listener.name),
        clients: clients.map(|clients| (clients.required, reader.digest(&clients.ca))),
    };
    let choice = Arc::new(choice);
    let config = configure(tls, listener.protocols, provider, verifier, &choice);
    let config = config.and_then(|mut config| {
        config.ticketer = sessions.under(&policy)?;
        Ok(Arc::new(config))
    });
    match config {
        Ok(config) => Ok(Server {
            config,
            choice,
            shown,
            policy,
        }),
        Err(error) => Err(refused(tls, &error.to_string())),
    }
}

fn configure(
    tls: &ListenerTls,
    protocols: Protocols,
    provider: Arc<CryptoProvider>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    choice: &Arc<Choice>,
) -> Result<ServerConfig, rustls::Error> {
    let versions: Vec<_> = rustls::ALL_VERSIONS
        .iter()
        .filter(|known| tls.versions.contains(&known.version))
        .copied()
        .collect();
    let builder =
        ServerConfig::builder_with_provider(provider).with_protocol_versions(&versions)?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let resolver = Arc::clone(choice);
    let mut config = builder.with_cert_resolver(resolver);
    config.alpn_protocols = alpn(protocols);
    // Who writes a list means its order. Without one the client decides: it knows what its processor does best.
    config.ignore_client_order = !tls.ciphers.is_empty();
    // A request in the first flight (0-RTT) can be sent again by anybody who saw it, and nothing in it says so; the
    // gateway cannot know which requests do no harm when they come twice.
    config.max_early_data_size = 0;
    Ok(config)
}

/// What is offered by ALPN, the better one first.
fn alpn(protocols: Protocols) -> Vec<Vec<u8>> {
    let offered = [(protocols.http2, "h2"), (protocols.http1, "http/1.1")];
    let offered = offered.iter().filter(|(speaks, _)| *speaks);
    offered.map(|(_, name)| name.as_bytes().to_vec()).collect()
}

/// The library's cryptography, with the suites that are admitted.
fn provider(tls: &ListenerTls) -> CryptoProvider {
    let mut provider = ring::default_provider();
    if !tls.ciphers.is_empty() {
        let known = std::mem::take(&mut provider.cipher_suites);
        let suite = |name: &rustls::CipherSuite| known.iter().find(|one| one.suite() == *name);
        provider.cipher_suites = tls.ciphers.iter().filter_map(suite).copied().collect();
    }
    provider
}

/// Who checks the certificates of clients.
fn verifier(
    clients: &ClientCertificates,
    reader: &mut Reader,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, ConfigError> {
    let roots = Arc::new(pem::authorities(reader, &clients.ca)?);
    let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
    let builder = if clients.required {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    builder.build().map_err(|error| {
        let problem = format!("cannot be used to check clients ({error})");
        pem::flaw(&clients.ca, &problem, "name the authorities of the clients")
    })
}

/// A certificate with its key, and what is known of it.
fn certificate(
    files: &Certificate,
    reader: &mut Reader,
    provider: &CryptoProvider,
) -> Result<(CertifiedKey, Shown), Vec<ConfigError>> {
    let mut key = pem::certified(reader, (&files.certificate, &files.key), provider)?;
    let leaf = key.cert.first().map(|der| Facts::of(der));
    let facts = leaf.unwrap_or(Err(String::new())).map_err(|error| {
        let problem = format!("begins with a certificate that cannot be read ({error})");
        let advice = "ask its authority for another one";
        vec![pem::flaw(&files.certificate, &problem, advice)]
    })?;
    let mut shown = Shown {
        notes: notes(files, &facts, reader),
        kind: match key.key.algorithm() {
            SignatureAlgorithm::RSA => "rsa",
            SignatureAlgorithm::ECDSA => "ecdsa",
            SignatureAlgorithm::ED25519 => "ed25519",
            _ => "other",
        },
        files: files.clone(),
        facts,
        ocsp: None,
    };
    if let Some(file) = &files.ocsp {
        let bytes = reader.read(file, "the answer of the OCSP responder in DER");
        let bytes = bytes.map_err(|error| vec![error])?;
        let answer = ocsp::read(&bytes, &shown.facts.serial).map_err(|problem| {
            vec![pem::flaw(
                file,
                problem,
                "ask the responder again, or leave ocsp out",
            )]
        })?;
        shown.ocsp = Some(answer);
        key.ocsp = shown.is_stapled(Moment::now()).then(|| bytes.to_vec());
    }
    Ok((key, shown))
}

/// What an operator should know of a certificate that can be used.
fn notes(files: &Certificate, facts: &Facts, reader: &mut Reader) -> Vec<String> {
    let mut notes = Vec::new();
    if facts.names.is_empty() {
        let problem = "has a certificate without a name (subjectAltName): clients will refuse it";
        notes.push(pem::flaw(&files.certificate, problem, "replace it").to_string());
    }
    if reader.is_open_to_others(&files.key) {
        let problem = "can be read by others than its owner";
        let advice = "take their rights away (chmod 600)";
        notes.push(pem::flaw(&files.key, problem, advice).to_string());
    }
    notes
}

fn hidden_note(files: &Certificate, facts: &Facts, hidden: &[String]) -> Option<String> {
    const MOST: usize = 5;
    let more = match hidden.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let names: Vec<&str> = hidden.iter().take(MOST).map(String::as_str).collect();
    let names = names.join(", ");
    let problem = if hidden.is_empty() {
        return None;
    } else if hidden.len() == facts.names.len() {
        format!("is never shown: certificates before it are for {names}{more}")
    } else {
        format!("is not shown for {names}{more}: certificates before it are")
    };
    let advice = "leave one of them out, or put the one that is to be shown first";
    Some(pem::flaw(&files.certificate, &problem, advice).to_string())
}

fn refused(tls: &ListenerTls, why: &str) -> Vec<ConfigError> {
    let first = tls.certificates.first();
    let errors = first.map(|one| {
        let place = one.certificate.place.clone();
        ConfigError::new(place, format!("TLS cannot be spoken so: {why}"))
    });
    errors.into_iter().collect()
}
