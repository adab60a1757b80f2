//! Taking a PROXY header apart (HAProxy, doc/proxy-protocol.txt of 2020/03/05). Pure: bytes in, verdict out.
//!
//! It is strict, because who can make the gateway misread one chooses the address of its client: both versions are taken as
//! the text says, and anything else is a flaw. What follows a header is never looked at.

use std::net::SocketAddr;

use super::{v1, v2};

/// What there is at the beginning of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// It could be a header, of which so many bytes are known to belong to it at least.
    More(usize),
    /// No header.
    Absent,
    /// A header of so many bytes.
    Header(Told, usize),
}

/// What a header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Of whom the connection is.
    Ends {
        /// The client.
        source: SocketAddr,
        /// Where it connected to.
        destination: SocketAddr,
    },
    /// That the proxy speaks for itself (a health check).
    Itself,
    /// That the connection is somebody's, and not whose: of an unknown family, or of ends without an IP address.
    Nobody,
}

/// What is wrong with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    /// Version 1: no end of the line.
    #[error("its line does not end within {} bytes", v1::LONGEST)]
    Endless,
    /// Version 1: a carriage return or a line feed by itself.
    #[error("its line does not end with CR LF")]
    LineEnd,
    /// Version 1: another family.
    #[error("it names no protocol that exists: TCP4, TCP6 or UNKNOWN")]
    Protocol,
    /// Version 1: an address.
    #[error("an address in it is none, or of another family")]
    Address,
    /// Version 1: a port.
    #[error("a port in it is none")]
    Port,
    /// Version 1: too few or too many fields, or more than a space between them.
    #[error("its line does not have the fields it should have")]
    Fields,
    /// Version 2: another version or command.
    #[error("its version or its command does not exist")]
    Command,
    /// Version 2: another family or transport.
    #[error("its address family or its transport does not exist, or is none of a stream")]
    Family,
    /// Version 2: longer than taken.
    #[error("it is longer than {} bytes", v2::LONGEST)]
    TooLong,
    /// Version 2: shorter than its addresses.
    #[error("it is too short for its addresses")]
    TooShort,
    /// Version 2: a field that is longer than what there is.
    #[error("a field in it is longer than the header")]
    Field,
    /// Version 2: the checksum.
    #[error("its checksum is wrong")]
    Checksum,
}

/// Looks at the first bytes of a connection.
///
/// # Errors
/// They are a header, but not one that can be believed.
pub(super) fn look(bytes: &[u8]) -> Result<Look, Flaw> {
    for (signature, read) in [
        (v1::SIGNATURE, v1::read as fn(&[u8]) -> Result<Look, Flaw>),
        (v2::SIGNATURE, v2::read),
    ] {
        if bytes.starts_with(signature) {
            return read(bytes);
        }
        if signature.starts_with(bytes) {
            return Ok(Look::More(signature.len()));
        }
    }
    Ok(Look::Absent)
}
