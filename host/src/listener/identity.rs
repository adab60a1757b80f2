//! Who a client is by the certificate it showed, in the words that plugins read.
//!
//! Names are never shortened: somebody may compare them. A certificate that has too many or too long ones is refused.

use std::fmt::Write as _;

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Name};
use x509_parser::x509::AttributeTypeAndValue;

use crate::context::connection::ClientCertificate;
use crate::tls::facts::{Moment, address, fingerprint, hex};

/// Longest subject, issuer or other name, in bytes of text.
const LONGEST: usize = 4 * 1024;
/// Most other names of one certificate.
const MOST_NAMES: usize = 100;
/// Bytes of all of them together.
const ALL_NAMES: usize = 16 * 1024;

/// Reads the certificate of a client, which was checked when its session began.
///
/// # Errors
/// It has ended since then, or has more names than anybody needs; the text is for the log.
pub(super) fn read(der: &[u8], now: Moment) -> Result<ClientCertificate, &'static str> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return Err("the client's certificate cannot be read");
    };
    // A session that is taken up again is not checked again; its certificate may have ended meanwhile.
    if Moment::of(certificate.validity().not_after) < now {
        return Err("the client's certificate has ended since its session began");
    }
    let names = names(&certificate)?;
    Ok(ClientCertificate {
        der: der.into(),
        subject: distinguished(certificate.subject())?,
        issuer: distinguished(certificate.issuer())?,
        serial: hex(certificate.raw_serial()).into(),
        fingerprint: fingerprint(der).into(),
        names,
    })
}

/// The other names, one a line.
fn names(certificate: &X509Certificate<'_>) -> Result<Box<str>, &'static str> {
    let names = match certificate.subject_alternative_name() {
        Ok(Some(names)) => names.value.general_names.iter(),
        Ok(None) => return Ok(Box::default()),
        Err(_) => return Err("the names in the client's certificate cannot be read"),
    };
    let texts = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(format!("DNS:{name}")),
        GeneralName::URI(uri) => Some(format!("URI:{uri}")),
        GeneralName::RFC822Name(mail) => Some(format!("email:{mail}")),
        GeneralName::IPAddress(bytes) => Some(format!("IP:{}", address(bytes)?)),
        _ => None,
    });
    let texts: Vec<String> = texts.collect();
    // One name must not look like two.
    if texts.iter().any(|text| text.contains(char::is_control)) {
        return Err("a name in the client's certificate has a control character");
    }
    let bytes: usize = texts.iter().map(String::len).sum();
    if texts.len() > MOST_NAMES || bytes > ALL_NAMES {
        return Err("the client's certificate has too many names");
    }
    Ok(texts.join("\n").into())
}

/// A distinguished name as RFC 4514 writes it: the most particular part first.
fn distinguished(name: &X509Name<'_>) -> Result<Box<str>, &'static str> {
    let mut text = String::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for (index, part) in parts.iter().rev().enumerate() {
        for (position, attribute) in part.iter().enumerate() {
            match (index, position) {
                (0, 0) => {}
                (_, 0) => text.push(','),
                _ => text.push('+'),
            }
            write_attribute(&mut text, attribute);
        }
        if text.len() > LONGEST {
            return Err("the client's certificate has too long a name");
        }
    }
    Ok(text.into())
}

/// `CN=value`; a type without a name, or a value that is no text, as the numbers they are (RFC 4514, 2.4).
fn write_attribute(out: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    let oid = attribute.attr_type().to_id_string();
    let known = SHORT.iter().find(|(known, _)| *known == oid);
    match (known, attribute.as_str()) {
        (Some((_, short)), Ok(value)) => {
            out.push_str(short);
            out.push('=');
            escape(out, value);
        }
        _ => {
            use x509_parser::asn1_rs::ToDer as _;
            out.push_str(known.map_or(&oid, |(_, short)| short));
            let value = attribute.attr_value().to_der_vec().unwrap_or_default();
            // A string takes everything.
            let _ = write!(out, "=#{}", hex(&value));
        }
    }
}

/// RFC 4514, 2.4: what has a meaning of its own, and blanks at either end.
fn escape(out: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (index, c) in value.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => out.extend(['\\', c]),
            '#' if index == 0 => out.push_str("\\#"),
            ' ' if index == 0 || index == last => out.push_str("\\ "),
            // NUL has to be written so; other control characters would write lines of their own into logs and headers.
            c if c.is_control() => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(out, "\\{byte:02X}");
                }
            }
            c => out.push(c),
        }
    }
}

/// The names of RFC 4514, section 3, and those that certificates have besides.
const SHORT: [(&str, &str); 15] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("2.5.4.4", "SN"),
    ("2.5.4.42", "GN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.12", "title"),
    ("2.5.4.97", "organizationIdentifier"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, SanType};

    use super::*;

    fn certificate(names: &[(DnType, &str)], further: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        let mut name = DistinguishedName::new();
        for (kind, value) in names {
            name.push(kind.clone(), DnValue::Utf8String((*value).to_owned()));
        }
        params.distinguished_name = name;
        params.subject_alt_names = further;
        let key = KeyPair::generate().expect("a key");
        params
            .self_signed(&key)
            .expect("a certificate")
            .der()
            .to_vec()
    }

    fn read_now(der: &[u8]) -> Result<ClientCertificate, &'static str> {
        read(der, Moment::now())
    }

    #[test]
    fn the_most_particular_part_stands_first() {
        let der = certificate(
            &[
                (DnType::CountryName, "DE"),
                (DnType::OrganizationName, "Ex, Inc."),
                (DnType::CommonName, "alice"),
                (DnType::CustomDnType(vec![1, 2, 3, 4]), "x"),
            ],
            Vec::new(),
        );
        let read = read_now(&der).expect("it can be read");
        assert_eq!(&*read.subject, "1.2.3.4=#0c0178,CN=alice,O=Ex\\, Inc.,C=DE");
        assert_eq!(read.subject, read.issuer);
        assert_eq!(read.fingerprint.len(), 64);
    }

    #[test]
    fn what_has_a_meaning_is_escaped() {
        let check = |value: &str, expected: &str| {
            let mut out = String::new();
            escape(&mut out, value);
            assert_eq!(out, expected);
        };
        check("plain", "plain");
        check("a,b+c\"d\\e<f>g;h=i", "a\\,b\\+c\\\"d\\\\e\\<f\\>g\\;h=i");
        check("#one #two", "\\#one #two");
        check("  x  ", "\\  x \\ ");
        check(" ", "\\ ");
        check("a\0b\nc", "a\\00b\\0Ac");
        check("Ä", "Ä");
    }

    #[test]
    fn other_names_say_what_they_are() {
        let text = |text: &str| text.try_into().expect("ASCII");
        let der = certificate(
            &[],
            vec![
                SanType::DnsName(text("a.example")),
                SanType::URI(text("spiffe://a/b")),
                SanType::IpAddress("192.0.2.1".parse().expect("an address")),
                SanType::IpAddress("2001:db8::1".parse().expect("an address")),
                SanType::Rfc822Name(text("a@b.example")),
            ],
        );
        let read = read_now(&der).expect("it can be read");
        let names: Vec<&str> = read.names.lines().collect();
        let expected = [
            "DNS:a.example",
            "URI:spiffe://a/b",
            "IP:192.0.2.1",
            "IP:2001:db8::1",
            "email:a@b.example",
        ];
        assert_eq!(names, expected);
        assert_eq!(&*read.subject, "");
    }

    #[test]
    fn what_is_too_much_is_refused_and_never_shortened() {
        let long = "x".repeat(LONGEST + 1);
        let der = certificate(&[(DnType::CommonName, &long)], Vec::new());
        assert!(read_now(&der).is_err());
        let name = |i: usize| SanType::DnsName(format!("{i}.example").try_into().expect("ASCII"));
        let der = certificate(&[], (0..=MOST_NAMES).map(name).collect());
        assert!(read_now(&der).is_err());
        let der = certificate(&[], (0..MOST_NAMES).map(name).collect());
        assert_eq!(
            read_now(&der)
                .expect("it can be read")
                .names
                .lines()
                .count(),
            MOST_NAMES
        );
    }

    #[test]
    fn one_that_has_ended_is_none() {
        let der = certificate(&[], Vec::new());
        let late = Moment { unix_s: i64::MAX };
        assert!(read(&der, late).is_err());
    }

    #[test]
    fn the_limits_themselves_are_admitted() {
        // "CN=" is part of what is measured, and "DNS:" of each name.
        let longest = "x".repeat(4 * 1024 - 3);
        let der = certificate(&[(DnType::CommonName, &longest)], Vec::new());
        assert_eq!(read_now(&der).map(|read| read.subject.len()), Ok(4 * 1024));
        let of = |bytes: usize| {
            let name = |len: usize| SanType::DnsName("x".repeat(len).try_into().expect("ASCII"));
            let names = vec![name(8 * 1024 - 4), name(bytes - 8 * 1024 - 4)];
            read_now(&certificate(&[], names))
        };
        assert!(of(16 * 1024).is_ok() && of(16 * 1024 + 1).is_err());
    }

    #[test]
    fn one_is_good_until_its_last_second() {
        let der = certificate(&[], Vec::new());
        let (_, parsed) = X509Certificate::from_der(&der).expect("a certificate");
        let end = Moment::of(parsed.validity().not_after);
        let after = Moment {
            unix_s: end.unix_s + 1,
        };
        assert!(read(&der, end).is_ok() && read(&der, after).is_err());
    }
}
