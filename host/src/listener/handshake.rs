//! What comes before the first request: the TLS handshake.

use std::sync::Arc;

use super::secure::secure;
use crate::context::connection::Connection;
use crate::snapshot::Speech;
use crate::socket::Socket;
use crate::wire::Wire;

/// A connection that is ready for its first request.
pub(super) struct Ready {
    pub(super) stream: Wire,
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
    let Some(how) = &speech.tls else {
        let version = if speech.protocols.http1 {
            Version::Http1
        } else {
            Version::Http2
        };
        return Ok(Ready {
            stream: Wire::plain(socket),
            connection,
            version,
        });
    };
    let (stream, tls) = secure(socket, speech, how).await?;
    let version = if tls.alpn.as_deref() == Some("h2") {
        Version::Http2
    } else {
        Version::Http1
    };
    connection.tls = Some(Box::new(tls));
    Ok(Ready {
        stream: Wire::tls(stream),
        connection,
        version,
    })
}
