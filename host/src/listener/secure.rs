//! The TLS handshake with a client.
//!
//! It runs on the worker, as everything of a connection does: a whole one takes a quarter of a millisecond with ECDSA and almost
//! one with RSA of 2048 bits, and a session that is taken up again needs no signature. Nothing in it waits for anything but
//! the client.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::{Error, HandshakeKind, PeerIncompatible, ServerConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::identity;
use crate::context::connection::{Certificates, Tls};
use crate::metrics::handshake::Failure;
use crate::snapshot::{Secure, Speech};
use crate::socket::Socket;
use crate::tls::choice::Choice;
use crate::tls::facts::Moment;

/// How long and for how many bytes a client is listened to that was told why there is no session.
const LAST_WORDS: (Duration, usize) = (Duration::from_secs(1), 64 * 1024);

/// Shakes hands, and says what came of it.
///
/// # Errors
/// Why there is no session, in words for the log. The client was told as far as TLS has words for it.
pub(super) async fn secure(
    socket: Socket,
    speech: &Speech,
    secure: &Secure,
) -> Result<(TlsStream<Socket>, Tls), String> {
    let shaking = secure.handshakes.begin();
    let acceptor = TlsAcceptor::from(Arc::clone(&secure.config));
    let stream = match acceptor.accept(socket).into_fallible().await {
        Ok(stream) => stream,
        Err((error, socket)) => {
            shaking.failed(reason(&error));
            hear_out(socket).await;
            return Err(format!("the TLS handshake failed: {error}"));
        }
    };
    let session = stream.get_ref().1;
    if session.alpn_protocol().is_none() && !speech.protocols.http1 {
        // RFC 9113, 3.3: HTTP/2 over TLS is agreed on by ALPN, and there is nothing else to speak here.
        shaking.failed(Failure::Protocol);
        return Err("the client offers no protocol, and only h2 is spoken here".to_owned());
    }
    let choice = secure.asks_clients.then(|| Arc::clone(&secure.choice));
    match tls(session, choice) {
        Ok(tls) => {
            let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
            shaking.done(tls.version, resumed);
            Ok((stream, tls))
        }
        Err(why) => {
            shaking.failed(Failure::Certificate);
            Err(why.to_owned())
        }
    }
}

/// What TLS came to.
fn tls(session: &ServerConnection, choice: Option<Arc<Choice>>) -> Result<Tls, &'static str> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned().into_boxed_str();
    let cipher = session.negotiated_cipher_suite();
    let cipher = cipher.and_then(|suite| suite.suite().as_str());
    let shown = session.peer_certificates().and_then(<[_]>::first);
    let client = shown.map(|der| identity::read(der, Moment::now()));
    Ok(Tls {
        version: match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        },
        cipher: cipher.unwrap_or_default().replace("TLS13_", "TLS_").into(),
        sni: session
            .server_name()
            .map(|name| name.to_ascii_lowercase().into()),
        alpn: session.alpn_protocol().map(text),
        client: client.transpose()?,
        choice: choice.map(|choice| choice as Arc<dyn Certificates>),
    })
}

/// What a failure is counted as.
fn reason(error: &io::Error) -> Failure {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(Error::NoCertificatesPresented) => Failure::NoCertificate,
        Some(Error::InvalidCertificate(_)) => Failure::Certificate,
        Some(Error::NoApplicationProtocol) => Failure::Protocol,
        Some(Error::AlertReceived(_)) => Failure::Refused,
        Some(Error::PeerIncompatible(why)) => match why {
            PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled => Failure::Version,
            _ => Failure::Cipher,
        },
        Some(
            Error::InvalidMessage(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::PeerMisbehaved(_)
            | Error::DecryptError
            | Error::PeerSentOversizedRecord,
        ) => Failure::Malformed,
        Some(_) => Failure::Internal,
        // The system has no other reasons than that the other end went away.
        None => Failure::Closed,
    }
}

/// Closes this side and reads what the client still sends: a socket that is closed with something unread is reset, and
/// the client would never see the alert that says why.
async fn hear_out(mut socket: Socket) {
    let (time, bytes) = LAST_WORDS;
    let reading = async {
        let _ = socket.shutdown().await;
        let mut words = [0; 1024];
        let mut left = bytes;
        while let Ok(read @ 1..) = socket.read(&mut words).await {
            left = left.saturating_sub(read);
            if left == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(time, reading).await;
}
