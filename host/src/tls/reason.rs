//! Why a handshake with a target failed, in words that say what to do.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// What a failed handshake means for who runs the gateway.
#[must_use]
pub fn of_handshake(error: &io::Error) -> String {
    match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>())
    {
        Some(error) => of(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "it ended the connection inside the TLS handshake; does it speak TLS at this address?"
                .to_owned()
        }
        None => format!("the TLS handshake failed: {error}"),
    }
}

/// The same for an error that TLS itself came to.
#[must_use]
pub fn of(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "it speaks none of the protocols that were offered (ALPN); set protocol of the upstream to what it speaks"
                .to_owned()
        }
        Error::AlertReceived(alert) if wants_certificate(*alert) => format!(
            "it refused the certificate of this gateway ({alert:?}); set tls.certificate and tls.key of the upstream to what it admits"
        ),
        Error::AlertReceived(alert) => format!("it ended the TLS handshake ({alert:?})"),
        Error::InvalidMessage(_) => {
            "what it sent is no TLS; does it speak TLS at this address?".to_owned()
        }
        Error::PeerIncompatible(why) => {
            format!("it speaks no version or cipher of TLS that this gateway speaks ({why:?})")
        }
        other => format!("the TLS handshake failed: {other}"),
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => format!(
            "its certificate is not valid for {}, only for {}; set tls.server_name of the upstream to a name it is for",
            expected.to_str(),
            names(presented)
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("its certificate has expired ({error})")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("its certificate is not valid yet ({error})")
        }
        CertificateError::UnknownIssuer => {
            "its certificate is of an authority that is not believed; name its authority with tls.ca of the upstream"
                .to_owned()
        }
        // An authority may have got a new key under its old name.
        CertificateError::BadSignature => {
            "its certificate is of an authority that is not believed, though its name is; name its authority with tls.ca of the upstream"
                .to_owned()
        }
        other => format!("its certificate is refused: {other}"),
    }
}

/// The names as they stand in the certificate: the library writes `DnsName("a.example")`.
fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "no name at all".to_owned();
    }
    let bare = |name: &String| {
        let inner = name
            .split_once('(')
            .and_then(|(_, rest)| rest.strip_suffix(')'));
        inner.unwrap_or(name).trim_matches('"').to_owned()
    };
    presented.iter().map(bare).collect::<Vec<_>>().join(", ")
}

/// Whether an alert is about what this side showed, or did not show.
fn wants_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate
    )
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::ServerName;

    use super::*;

    #[test]
    fn what_is_wrong_and_what_to_do_stand_together() {
        let other_name = CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("users.internal").unwrap(),
            presented: vec!["DnsName(\"a.example\")".into(), "b.example".into()],
        };
        let told = of(&Error::InvalidCertificate(other_name));
        assert!(
            told.contains("users.internal, only for a.example, b.example"),
            "{told}"
        );
        let unknown = of_handshake(&io::Error::new(
            io::ErrorKind::InvalidData,
            Error::InvalidCertificate(CertificateError::UnknownIssuer),
        ));
        assert!(unknown.contains("tls.ca"), "{unknown}");
        let nobody = of(&Error::AlertReceived(AlertDescription::CertificateRequired));
        assert!(nobody.contains("tls.certificate"), "{nobody}");
        let closed = of_handshake(&io::ErrorKind::UnexpectedEof.into());
        assert!(closed.contains("does it speak TLS"), "{closed}");
    }
}
