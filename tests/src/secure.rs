//! A TLS client in the test's own process: one connection, HTTP/1.1 on it, and what the handshake came to.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};
use sha2::{Digest as _, Sha256};

use crate::certificates::Pair;

/// How long one read or write may take before the test fails.
const IO_LIMIT: Duration = Duration::from_secs(30);

/// How a client speaks TLS; clones share the sessions that can be taken up again.
#[derive(Clone)]
pub struct SecureConfig(Arc<ClientConfig>);

/// One connection.
pub struct Secure(StreamOwned<ClientConnection, TcpStream>);

/// An answer, as far as tests of TLS look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecureAnswer {
    /// The status.
    pub status: u16,
    /// The whole head.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl SecureConfig {
    /// Believes the authorities in a file, offers HTTP/1.1, shows a certificate where there is one.
    ///
    /// # Panics
    /// When the files are none of theirs.
    #[must_use]
    #[track_caller]
    pub fn new(ca: &Path, shows: Option<&Pair>) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(ca) {
            roots.add(certificate).expect("an authority");
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match shows {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let key = fs::read(&pair.key).expect("a key");
                let key = PrivateKeyDer::from_pem_slice(&key).expect("a key");
                builder
                    .with_client_auth_cert(certificates(&pair.certificate), key)
                    .expect("they belong together")
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self(Arc::new(config))
    }

    /// The same, offering these protocols by ALPN.
    ///
    /// # Panics
    /// Never: nobody else has it.
    #[must_use]
    pub fn offering(self, protocols: &[&str]) -> Self {
        let mut config = (*self.0).clone();
        config.alpn_protocols = protocols
            .iter()
            .map(|one| one.as_bytes().to_vec())
            .collect();
        Self(Arc::new(config))
    }

    /// Connects and shakes hands.
    ///
    /// # Errors
    /// What either side has against it.
    pub fn connect(&self, address: SocketAddr, name: &str) -> io::Result<Secure> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(&self.0), name).map_err(io::Error::other)?;
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(IO_LIMIT))?;
        socket.set_write_timeout(Some(IO_LIMIT))?;
        let mut stream = StreamOwned::new(session, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Secure(stream))
    }
}

impl Secure {
    /// One GET and its answer; the connection stays open.
    ///
    /// # Errors
    /// What became of the connection.
    pub fn get(&mut self, host: &str, path: &str) -> io::Result<SecureAnswer> {
        write!(self.0, "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")?;
        self.0.flush()?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
        let length = head.to_ascii_lowercase();
        let length = length.split("content-length: ").nth(1);
        let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body)?;
        Ok(SecureAnswer {
            status: status.unwrap_or(0),
            head,
            body,
        })
    }

    /// SHA-256 of the certificate it was shown, hexadecimal, as `/status` tells it.
    ///
    /// # Panics
    /// When it was shown none.
    #[must_use]
    #[track_caller]
    pub fn fingerprint(&self) -> String {
        let shown = self.0.conn.peer_certificates().and_then(<[_]>::first);
        let digest = Sha256::digest(shown.expect("a certificate"));
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether a session was taken up again.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.0.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Reads until the other end closes: whether it said so in TLS before.
    ///
    /// # Errors
    /// What else became of the connection.
    pub fn is_closed_well(&mut self) -> io::Result<bool> {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// SHA-256 of the first certificate in a file, hexadecimal.
///
/// # Panics
/// When there is none.
#[must_use]
#[track_caller]
pub fn fingerprint_of(pair: &Pair) -> String {
    let first = certificates(&pair.certificate).swap_remove(0);
    let digest = Sha256::digest(first);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[track_caller]
fn certificates(file: &Path) -> Vec<CertificateDer<'static>> {
    let text = fs::read(file).expect("certificates");
    let all = CertificateDer::pem_slice_iter(&text);
    all.collect::<Result<_, _>>().expect("certificates")
}
