//! What comes before the first request: the TLS handshake.

use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::ServerConnection;
use tokio_rustls::TlsAcceptor;

use super::stream::Stream;
use crate::context::connection::{Connection, Tls};
use crate::gather::Gather;
use crate::snapshot::Speech;
use crate::socket::Socket;

/// A connection that is ready for its first request.
pub(super) struct Ready {
    pub(super) stream: Stream,
    pub(super) connection: Connection,
    pub(super) version: Version,
}

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// Shakes hands with a client.
///
/// # Errors
/// What went wrong between the two, in words for the log.
pub(super) async fn shake(socket: Socket, speech: &Speech) -> Result<Ready, String> {
    let mut connection = Connection {
        listener: Arc::clone(&speech.listener),
        ..Connection::default()
    };
    let Some(config) = &speech.tls else {
        let version = if speech.protocols.http1 {
            Version::Http1
        } else {
            Version::Http2
        };
        return Ok(Ready {
            stream: Stream::Plain(Gather::new(socket)),
            connection,
            version,
        });
    };
    let acceptor = TlsAcceptor::from(Arc::clone(config));
    let stream = acceptor
        .accept(socket)
        .await
        .map_err(|error| format!("the TLS handshake failed: {error}"))?;
    let session = stream.get_ref().1;
    let version = if session.alpn_protocol() == Some(b"h2") {
        Version::Http2
    } else {
        Version::Http1
    };
    connection.tls = Some(Box::new(tls(session)));
    Ok(Ready {
        stream: Stream::Tls(Box::new(TokioIo::new(stream))),
        connection,
        version,
    })
}

/// What TLS came to.
fn tls(session: &ServerConnection) -> Tls {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned().into_boxed_str();
    let cipher = session.negotiated_cipher_suite();
    let cipher = cipher.and_then(|suite| suite.suite().as_str());
    Tls {
        version: match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        },
        cipher: cipher.unwrap_or_default().replace("TLS13_", "TLS_").into(),
        sni: session
            .server_name()
            .map(|name| name.to_ascii_lowercase().into()),
        alpn: session.alpn_protocol().map(text),
        client: None,
    }
}
