//! What [`crate::door`] opens of this room.

use std::net::SocketAddr;
use std::time::Instant;

use super::handshake::Version;
use super::http2::frames::{Frames, Stand};
use super::{identity, preface, proxy};
use crate::context::connection::ClientCertificate;
use crate::tls::facts::Moment;

/// What the first bytes of a connection come to, as far as a PROXY header goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// There must be at least so many bytes.
    More(usize),
    /// There is none.
    Absent,
    /// Of so many bytes, with client and own end where it names them.
    Whole(Option<(SocketAddr, SocketAddr)>, usize),
}

/// Looks for a PROXY header.
///
/// # Errors
/// It cannot be believed; the sentence for the log.
pub fn proxy_header(bytes: &[u8]) -> Result<Header, String> {
    proxy::for_door(bytes)
}

/// Whether these first bytes are those of HTTP/2; none while they may become so.
#[must_use]
pub fn is_http2(bytes: &[u8]) -> Option<bool> {
    preface::version(bytes).map(|version| matches!(version, Version::Http2))
}

/// Reads the certificate of a client as if it were the beginning of 1970.
///
/// # Errors
/// Why it is refused.
pub fn certificate(der: &[u8]) -> Result<ClientCertificate, &'static str> {
    identity::read(der, Moment { unix_s: 0 })
}

/// The guard against floods of frames.
#[derive(Debug)]
pub struct Guard {
    frames: Frames,
    start: Instant,
}

impl Guard {
    /// Of a connection with so many streams at once.
    #[must_use]
    pub fn new(streams: u32) -> Self {
        let start = Instant::now();
        let frames = Frames::new(streams, start);
        Self { frames, start }
    }

    /// Bytes came from the client; whether it has overdone it. Time stands still.
    pub fn read(&mut self, bytes: &[u8]) -> bool {
        self.frames.read(bytes, || self.start) == Stand::Excess
    }

    /// Bytes went to the client.
    pub fn wrote(&mut self, bytes: &[u8]) {
        self.frames.wrote(bytes, |_| ());
    }

    /// The frame with which the connection ends.
    #[must_use]
    pub fn goodbye(&self) -> Vec<u8> {
        self.frames.goodbye().to_vec()
    }
}
