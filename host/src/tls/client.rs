//! What an upstream's targets are shown, and whom of them this gateway believes.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use sha2::{Digest as _, Sha256};

use super::files::Reader;
use crate::config::ConfigError;
use crate::config::ready::{Config, NamedFile, UpstreamProtocol, UpstreamTls};
use crate::endpoint::Endpoint;

/// How the targets of one upstream are spoken to in TLS.
#[derive(Clone)]
pub struct ClientTls {
    /// What a handshake needs; keeps the sessions of this upstream that can be resumed.
    pub config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
    /// Of everything it was made of, the contents of files included. Where this is the same, all is: so connections
    /// outlive a reload that changes nothing here.
    pub digest: [u8; 32],
}

impl ClientTls {
    /// Makes it of the files that a configuration names.
    ///
    /// # Errors
    /// Every file that cannot be used.
    pub fn build(
        tls: &UpstreamTls,
        protocol: UpstreamProtocol,
        reader: &mut Reader,
    ) -> Result<Self, Vec<ConfigError>> {
        let provider = Arc::new(ring::default_provider());
        let mut made_of = MadeOf {
            reader,
            digest: Sha256::new(),
        };
        made_of
            .digest
            .update(format!("{:?} {}", tls.server_name, tls.verify));
        let believed = verifier(tls, &provider, &mut made_of);
        let shown = tls
            .certificate
            .as_ref()
            .map(|(certificate, key)| shown(certificate, key, &mut made_of));
        let (believed, shown) = match (believed, shown.transpose()) {
            (Ok(believed), Ok(shown)) => (believed, shown),
            (believed, shown) => {
                return Err(believed.err().into_iter().chain(shown.err()).collect());
            }
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| vec![refused(tls, &error)])?
            .dangerous()
            .with_custom_certificate_verifier(believed);
        let mut config = match shown {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| vec![refused(tls, &error)])?,
        };
        config.alpn_protocols = alpn(protocol);
        Ok(Self {
            config: Arc::new(config),
            server_name: tls.server_name.clone(),
            digest: made_of.digest.finalize().into(),
        })
    }

    /// Believes the authorities of the system and shows nothing: for callouts to hosts that no upstream has. A host is a
    /// name, or an address as it stands in a URL.
    ///
    /// # Errors
    /// The system has no authorities, or the host is none.
    pub fn of_system(host: &str) -> Result<Self, String> {
        let system = system()?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(|error| error.to_string())?;
        Ok(Self {
            server_name: Some(name),
            digest: Sha256::new()
                .chain_update(system.digest)
                .chain_update(bare)
                .finalize()
                .into(),
            config: Arc::clone(&system.config),
        })
    }

    /// The same for a connection that can speak nothing but HTTP/2.
    #[must_use]
    pub fn for_http2(&self) -> Self {
        let mut config = (*self.config).clone();
        config.alpn_protocols = alpn(UpstreamProtocol::Http2);
        Self {
            config: Arc::new(config),
            ..self.clone()
        }
    }

    /// The name that the certificate of a target has to be for: what the configuration says, or else the name that led to
    /// it, or its address.
    #[must_use]
    pub fn name_of(&self, target: &Endpoint, found_by: Option<&str>) -> ServerName<'static> {
        let found_by = found_by.map(|name| ServerName::try_from(name.to_owned()));
        match (&self.server_name, found_by, target) {
            (Some(name), ..) => name.clone(),
            (None, Some(Ok(name)), _) => name,
            // Whatever it is, nobody has a certificate for it: the address is what can still be asked for.
            (None, _, Endpoint::Tcp(address)) => ServerName::IpAddress(address.ip().into()),
            (None, _, Endpoint::Unix(_)) => localhost(),
        }
    }

    /// The name that targets are asked for, where the configuration says one.
    #[must_use]
    pub fn server_name(&self) -> Option<String> {
        self.server_name
            .as_ref()
            .map(|name| name.to_str().into_owned())
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientTls({:?})", self.server_name)
    }
}

/// Says which upstreams are believed whoever they are: a setting for a test must not be forgotten where it counts.
pub fn warn_of_unverified(config: &Config) {
    for upstream in &config.upstreams {
        if upstream.tls.as_ref().is_some_and(|tls| !tls.verify) {
            tracing::warn!(
                target: "control",
                "upstream {}: tls.verify is false, so whoever answers at the address of a target is believed; name its authority with tls.ca instead",
                upstream.name
            );
        }
    }
}

/// What was read for it, and what all of that comes to.
struct MadeOf<'a> {
    reader: &'a mut Reader,
    digest: Sha256,
}

/// What is offered by ALPN, the better one first.
fn alpn(protocol: UpstreamProtocol) -> Vec<Vec<u8>> {
    let names: &[&str] = match protocol {
        UpstreamProtocol::Http1 => &["http/1.1"],
        UpstreamProtocol::Http2 => &["h2"],
        UpstreamProtocol::Auto => &["h2", "http/1.1"],
    };
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

/// Whom of the targets this gateway believes.
fn verifier(
    tls: &UpstreamTls,
    provider: &Arc<CryptoProvider>,
    made_of: &mut MadeOf<'_>,
) -> Result<Arc<dyn ServerCertVerifier>, ConfigError> {
    if !tls.verify {
        return Ok(Arc::new(Anybody(
            provider.signature_verification_algorithms,
        )));
    }
    let roots = match &tls.ca {
        Some(ca) => authorities(ca, made_of)?,
        None => {
            read_system();
            let system = system().map_err(|why| ConfigError::new(tls.place.clone(), why))?;
            made_of.digest.update(system.digest);
            Arc::clone(&system.roots)
        }
    };
    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
        .build()
        .map(|verifier| verifier as Arc<dyn ServerCertVerifier>)
        .map_err(|error| refused(tls, &error))
}

/// The authorities of a file.
fn authorities(
    ca: &NamedFile,
    made_of: &mut MadeOf<'_>,
) -> Result<Arc<RootCertStore>, ConfigError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca, "list of authorities", made_of)? {
        roots
            .add(certificate)
            .map_err(|error| unusable(ca, "list of authorities", &error))?;
    }
    Ok(Arc::new(roots))
}

/// Whom the system believes.
struct System {
    roots: Arc<RootCertStore>,
    /// For hosts that no upstream has; keeps their sessions.
    config: Arc<ClientConfig>,
    /// Of all certificates.
    digest: [u8; 32],
}

/// As they were read last; none: nobody needed them yet. A failure is not for ever: the list may come while the gateway runs.
static SYSTEM: RwLock<Option<Result<Arc<System>, String>>> = RwLock::new(None);

/// Reads the authorities of the system now, unless they were read before, so that no worker has to wait for the disk.
pub fn read_system() {
    if !matches!(&*known(), Some(Ok(_))) {
        read_now();
    }
}

/// Reads them again, if anybody needed them before. What was read goes on where nothing can be read any more.
pub fn read_system_again() {
    if known().is_some() {
        read_now();
    }
}

/// The authorities of the system, as they were read last; reading them takes a while.
fn system() -> Result<Arc<System>, String> {
    if known().is_none() {
        read_now();
    }
    let nobody = || Err("the authorities of this system are not read yet".to_owned());
    known().clone().unwrap_or_else(nobody)
}

fn known() -> RwLockReadGuard<'static, Option<Result<Arc<System>, String>>> {
    SYSTEM.read().unwrap_or_else(PoisonError::into_inner)
}

fn read_now() {
    let found = load();
    let mut known = SYSTEM.write().unwrap_or_else(PoisonError::into_inner);
    match (&*known, found) {
        (Some(Ok(_)), Err(error)) => {
            tracing::warn!(target: "control", "{error}; those that were read before are believed on");
        }
        // Its sessions can be resumed.
        (Some(Ok(before)), Ok(now)) if before.digest == now.digest => {}
        (_, found) => *known = Some(found),
    }
}

fn load() -> Result<Arc<System>, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut digest = Sha256::new();
    for certificate in &found.certs {
        digest.update(certificate.len().to_be_bytes());
        digest.update(certificate);
    }
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found.errors.first().map(|error| format!(" ({error})"));
        return Err(format!(
            "this system has no list of certificate authorities{}: install its package ca-certificates, or name a file with ca",
            why.unwrap_or_default()
        ));
    }
    let roots = Arc::new(roots);
    Ok(Arc::new(System {
        config: system_config(Arc::clone(&roots))?,
        roots,
        digest: digest.finalize().into(),
    }))
}

fn system_config(roots: Arc<RootCertStore>) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .build()
        .map_err(|error| error.to_string())?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut config = builder.with_webpki_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = alpn(UpstreamProtocol::Http1);
    Ok(Arc::new(config))
}

type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// What this gateway shows.
fn shown(
    certificate: &NamedFile,
    key: &NamedFile,
    made_of: &mut MadeOf<'_>,
) -> Result<Shown, ConfigError> {
    let chain = certificates(certificate, "certificate", made_of)?;
    let text = read(key, "private key", made_of)?;
    let der = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|error| unusable(key, "private key", &error))?;
    let signer = ring::sign::any_supported_type(&der)
        .map_err(|error| unusable(key, "private key", &error))?;
    rustls::sign::CertifiedKey::new(chain.clone(), signer)
        .keys_match()
        .map_err(|_| {
            unusable(
                key,
                "private key",
                &"it is not the key of the certificate beside it",
            )
        })?;
    Ok((chain, der))
}

fn certificates(
    file: &NamedFile,
    what: &str,
    made_of: &mut MadeOf<'_>,
) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let text = read(file, what, made_of)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| unusable(file, what, &error))?;
    if chain.is_empty() {
        return Err(unusable(file, what, &"it holds no certificate in PEM"));
    }
    Ok(chain)
}

fn read(file: &NamedFile, what: &str, made_of: &mut MadeOf<'_>) -> Result<Arc<[u8]>, ConfigError> {
    let text = made_of.reader.read(file, &format!("a {what} in PEM"))?;
    made_of.digest.update(text.len().to_be_bytes());
    made_of.digest.update(&text);
    Ok(text)
}

fn unusable(file: &NamedFile, what: &str, why: &dyn fmt::Display) -> ConfigError {
    let path = file.path.display();
    ConfigError::new(
        file.place.clone(),
        format!("cannot use {path} as a {what}: {why}"),
    )
}

fn refused(tls: &UpstreamTls, why: &dyn fmt::Display) -> ConfigError {
    ConfigError::new(tls.place.clone(), format!("TLS cannot be spoken so: {why}"))
}

fn localhost() -> ServerName<'static> {
    // The name is one for certain; the address stands in only so that nothing here can panic.
    ServerName::try_from("localhost")
        .unwrap_or(ServerName::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()))
}

/// Believes everybody, but not that somebody has a key he has not.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
