//! Version 2: bytes.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::header::{Flaw, Look, Told};

/// What it begins with.
pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, command, family and length.
const FIXED: usize = 16;
/// The longest one that is taken, all in all. The format admits 64 KiB, which nobody needs.
pub(super) const LONGEST: usize = 4096;

/// The proxy speaks for itself.
const LOCAL: u8 = 0x20;
/// It speaks for a client.
const PROXY: u8 = 0x21;

/// The type of the field that holds a checksum of the whole header (CRC32c), in which that counts as zero.
const CHECKSUM: u8 = 0x03;

/// Reads what begins with the signature.
pub(super) fn read(bytes: &[u8]) -> Result<Look, Flaw> {
    let Some((fixed, _)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(Look::More(FIXED));
    };
    let [.., command, family, high, low] = *fixed;
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if !matches!(command, LOCAL | PROXY) {
        return Err(Flaw::Command);
    }
    let addresses = match family {
        0x00 => 0,
        0x11 => 12,
        0x21 => 36,
        0x31 => 216,
        _ => return Err(Flaw::Family),
    };
    if length > LONGEST {
        return Err(Flaw::TooLong);
    }
    let Some(header) = bytes.get(..length) else {
        return Ok(Look::More(length));
    };
    let told = if command == LOCAL {
        // "The receiver must accept this connection as valid and must discard the protocol block including the family".
        Told::Itself
    } else {
        let start = FIXED + addresses;
        let block = header.get(FIXED..start).ok_or(Flaw::TooShort)?;
        fields(header, start)?;
        told(family, block)
    };
    Ok(Look::Header(told, length))
}

/// The ends; a Unix socket and an unknown family have none that a gateway could use.
fn told(family: u8, block: &[u8]) -> Told {
    let ends = match family {
        0x11 => v4(block),
        0x21 => v6(block),
        _ => None,
    };
    ends.map_or(Told::Nobody, |(source, destination)| Told::Ends {
        source,
        destination,
    })
}

fn v4(block: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let (source, rest) = block.split_first_chunk::<4>()?;
    let (destination, rest) = rest.split_first_chunk::<4>()?;
    let (from, to) = ports(rest)?;
    let with = |address: &[u8; 4], port| SocketAddr::from((Ipv4Addr::from(*address), port));
    Some((with(source, from), with(destination, to)))
}

fn v6(block: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let (source, rest) = block.split_first_chunk::<16>()?;
    let (destination, rest) = rest.split_first_chunk::<16>()?;
    let (from, to) = ports(rest)?;
    let with = |address: &[u8; 16], port| SocketAddr::from((Ipv6Addr::from(*address), port));
    Some((with(source, from), with(destination, to)))
}

fn ports(rest: &[u8]) -> Option<(u16, u16)> {
    let [a, b, c, d] = *rest.first_chunk::<4>()?;
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

/// Walks the fields that follow the addresses: a type, a length, a value. They are passed over, but for the checksum.
fn fields(header: &[u8], start: usize) -> Result<(), Flaw> {
    let mut at = start;
    while let Some(rest) = header.get(at..).filter(|rest| !rest.is_empty()) {
        let ([kind, high, low], rest) = rest.split_first_chunk::<3>().ok_or(Flaw::Field)?;
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let value = rest.get(..length).ok_or(Flaw::Field)?;
        if *kind == CHECKSUM {
            let told = <[u8; 4]>::try_from(value).map_err(|_| Flaw::Checksum)?;
            let covered = (at + 3)..(at + 7);
            let zeroed = header.iter().enumerate();
            let zeroed =
                zeroed.map(|(place, byte)| if covered.contains(&place) { 0 } else { *byte });
            if crc32c(zeroed) != u32::from_be_bytes(told) {
                return Err(Flaw::Checksum);
            }
        }
        at += 3 + length;
    }
    Ok(())
}

/// CRC32c (RFC 4960, appendix B), bit by bit: headers are short, and few have one.
pub(super) fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    /// 0x1EDC6F41 with its bits reversed.
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    let crc = bytes.fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (POLYNOMIAL & 0u32.wrapping_sub(crc & 1))
        })
    });
    !crc
}
