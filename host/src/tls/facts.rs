//! What a certificate says about itself.

use std::net::IpAddr;

use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::time::ASN1Time;

/// What a certificate says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The hosts it is for, in lower case. The common name is none of them (RFC 9525, 2).
    pub names: Vec<String>,
    /// From when on it is good.
    pub not_before: Moment,
    /// Until when it is good.
    pub not_after: Moment,
    /// SHA-256 of it, hexadecimal.
    pub fingerprint: String,
    /// Its serial number as it is encoded.
    pub serial: Vec<u8>,
}

/// A moment in a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// In seconds since 1970.
    pub unix_s: i64,
}

impl Facts {
    /// Reads a certificate.
    ///
    /// # Errors
    /// It is none; the text says what the parser found.
    pub fn of(der: &[u8]) -> Result<Self, String> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        let validity = certificate.validity();
        Ok(Self {
            names: hosts(&certificate),
            not_before: Moment::of(validity.not_before),
            not_after: Moment::of(validity.not_after),
            fingerprint: fingerprint(der),
            serial: certificate.raw_serial().to_owned(),
        })
    }
}

impl Moment {
    pub(crate) fn of(time: ASN1Time) -> Self {
        Self {
            unix_s: time.timestamp(),
        }
    }

    /// The moment itself.
    #[must_use]
    pub fn now() -> Self {
        Self::of(ASN1Time::now())
    }
}

/// As RFC 3339 has it.
impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Ok(time) = ASN1Time::from_timestamp(self.unix_s) else {
            return write!(f, "{} s after 1970", self.unix_s);
        };
        let time = time.to_datetime();
        let (year, month, day) = time.to_calendar_date();
        let (hour, minute, second) = time.to_hms();
        let month = u8::from(month);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

/// SHA-256 of a certificate, hexadecimal.
#[must_use]
pub fn fingerprint(der: &[u8]) -> String {
    hex(&Sha256::digest(der))
}

/// Bytes as hexadecimal digits in lower case.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // A string takes everything.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The address in an alternative name, which is four or sixteen bytes.
#[must_use]
pub fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

fn hosts(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = names.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_as_a_date() {
        let check = |unix_s, expected: &str| assert_eq!(Moment { unix_s }.to_string(), expected);
        check(0, "1970-01-01T00:00:00Z");
        check(1_782_864_000, "2026-07-01T00:00:00Z");
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        assert!(Facts::of(b"").is_err());
        assert!(Facts::of(b"\x30\x03\x02\x01\x01").is_err());
    }
}
