//! Which certificate a client is shown: that of the name it asks for, else the first one.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};

use crate::context::connection::Certificates;

/// Certificates by the names they are for.
#[derive(Debug, Default)]
pub struct Choice {
    all: Vec<Arc<CertifiedKey>>,
    /// Which ones, in the order in which they are named: there may be one for each kind of key.
    exact: HashMap<String, Vec<usize>>,
    /// By what follows `*.`, which stands for one label (RFC 9525, 6.3).
    wildcard: HashMap<String, Vec<usize>>,
    /// For who asks for no name, or for one that none of them is for.
    default: Vec<usize>,
}

impl Choice {
    /// Adds one under its names. Gives back those of them under which nobody will ever see it, because an earlier one
    /// with the same kind of key has them.
    pub fn add(&mut self, key: CertifiedKey, names: &[String]) -> Vec<String> {
        let index = self.all.len();
        let kind = key.key.algorithm();
        self.all.push(Arc::new(key));
        let mut hidden = Vec::new();
        for name in names {
            let kinds = self.kinds(self.under(name));
            if kinds.contains(&kind) {
                hidden.push(name.clone());
            } else {
                self.under_mut(name).push(index);
            }
        }
        let defaults = self.kinds(&self.default);
        let beside_the_first = names.iter().any(|name| {
            let first = self.under(name).first();
            first.is_some() && first == self.default.first()
        });
        if index == 0 || (beside_the_first && !defaults.contains(&kind)) {
            self.default.push(index);
        }
        hidden
    }

    /// Which certificates a client is shown that asks for this name, by their numbers.
    #[must_use]
    pub fn of(&self, name: Option<&str>) -> &[usize] {
        let Some(name) = name else {
            return &self.default;
        };
        let lower;
        let name = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            lower = name.to_ascii_lowercase();
            &lower
        } else {
            name
        };
        let suffix = || name.split_once('.').map(|(_, suffix)| suffix);
        let found = self
            .exact
            .get(name)
            .or_else(|| self.wildcard.get(suffix()?));
        found.unwrap_or(&self.default)
    }

    /// The first of them whose key the client can check.
    fn fitting(&self, these: &[usize], schemes: &[SignatureScheme]) -> Option<&Arc<CertifiedKey>> {
        let mut keys = these.iter().filter_map(|index| self.all.get(*index));
        if let [_] = these {
            return keys.next();
        }
        let first = keys.clone().next();
        keys.find(|key| key.key.choose_scheme(schemes).is_some())
            .or(first)
    }

    fn kinds(&self, these: &[usize]) -> Vec<SignatureAlgorithm> {
        let keys = these.iter().filter_map(|index| self.all.get(*index));
        keys.map(|key| key.key.algorithm()).collect()
    }

    fn under(&self, name: &str) -> &[usize] {
        let found = match name.strip_prefix("*.") {
            Some(suffix) => self.wildcard.get(suffix),
            None => self.exact.get(name),
        };
        found.map_or(&[], Vec::as_slice)
    }

    fn under_mut(&mut self, name: &str) -> &mut Vec<usize> {
        let (map, name) = match name.strip_prefix("*.") {
            Some(suffix) => (&mut self.wildcard, suffix),
            None => (&mut self.exact, name),
        };
        map.entry(name.to_owned()).or_default()
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let these = self.of(hello.server_name());
        self.fitting(these, hello.signature_schemes()).cloned()
    }
}

impl Certificates for Choice {
    fn are_same(&self, one: Option<&str>, other: Option<&str>) -> bool {
        self.of(one) == self.of(other)
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::ring::default_provider;
    use rustls_pki_types::PrivateKeyDer;

    use super::*;

    fn key(kind: &'static rcgen::SignatureAlgorithm) -> CertifiedKey {
        let key = rcgen::KeyPair::generate_for(kind).expect("a key");
        let params = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
        let certificate = params.self_signed(&key).expect("a certificate");
        let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        CertifiedKey::from_der(
            vec![certificate.der().clone()],
            private,
            &default_provider(),
        )
        .expect("they belong together")
    }

    fn ecdsa() -> CertifiedKey {
        key(&rcgen::PKCS_ECDSA_P256_SHA256)
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn exact_before_wildcard_before_the_first() {
        let mut choice = Choice::default();
        choice.add(ecdsa(), &names(&["first.example"]));
        choice.add(ecdsa(), &names(&["*.b.example", "b.example"]));
        choice.add(ecdsa(), &names(&["x.b.example"]));
        let check = |name, expected: usize| assert_eq!(choice.of(name), [expected], "{name:?}");
        check(None, 0);
        check(Some("first.example"), 0);
        check(Some("unknown.example"), 0);
        check(Some("a.b.example"), 1);
        check(Some("A.B.example"), 1);
        check(Some("b.example"), 1);
        check(Some("x.b.example"), 2);
        check(Some("x.y.b.example"), 0);
        check(Some("localhost"), 0);
    }

    #[test]
    fn the_first_of_a_kind_wins_and_the_other_kind_stands_beside_it() {
        let mut choice = Choice::default();
        assert!(choice.add(ecdsa(), &names(&["a.example"])).is_empty());
        let hidden = choice.add(ecdsa(), &names(&["a.example", "c.example"]));
        assert_eq!(hidden, ["a.example"]);
        assert!(
            choice
                .add(key(&rcgen::PKCS_ED25519), &names(&["a.example"]))
                .is_empty()
        );
        assert_eq!(choice.of(Some("a.example")), [0, 2]);
        assert_eq!(choice.of(Some("c.example")), [1]);
        assert_eq!(choice.of(None), [0, 2]);
        let shown = |schemes: &[SignatureScheme]| {
            let key = choice
                .fitting(choice.of(None), schemes)
                .expect("there is one");
            key.key.algorithm()
        };
        use SignatureScheme as Scheme;
        assert_eq!(shown(&[Scheme::ED25519]), SignatureAlgorithm::ED25519);
        let both = [Scheme::ED25519, Scheme::ECDSA_NISTP256_SHA256];
        assert_eq!(shown(&both), SignatureAlgorithm::ECDSA);
        assert_eq!(shown(&[Scheme::RSA_PSS_SHA256]), SignatureAlgorithm::ECDSA);
    }
}
