//! Certificates of clients and what authorities say of them: whatever they hold, it becomes texts of one line each.

use swapgate::door;
use swapgate::tls::facts::Facts;
use swapgate::tls::ocsp;

/// What a client shows, in DER; the same as an answer of OCSP.
pub fn certificate(data: &[u8]) {
    let facts = Facts::of(data);
    let serial = facts.as_ref().map_or(&b"\x01"[..], |facts| &facts.serial);
    if let Err(text) = ocsp::read(data, serial) {
        assert!(crate::is_one_line(text));
    }
    match &facts {
        Ok(facts) => {
            let lower = |name: &String| name.to_lowercase() == *name;
            assert!(facts.names.iter().all(lower), "{:?}", facts.names);
        }
        Err(text) => assert!(crate::is_one_line(text)),
    }
    let Ok(read) = door::certificate(data) else {
        return;
    };
    assert!(facts.is_ok());
    for text in [&read.subject, &read.issuer, &read.serial, &read.fingerprint] {
        assert!(crate::is_one_line(text), "{text:?}");
    }
    // One more attribute may be written before the length is looked at.
    assert!(read.names.len() <= 17 * 1024 && read.names.lines().count() <= 100);
    for name in read.names.split('\n').filter(|name| !name.is_empty()) {
        let known = ["DNS:", "URI:", "email:", "IP:"];
        assert!(known.iter().any(|kind| name.starts_with(kind)), "{name:?}");
        assert!(crate::is_one_line(name), "{name:?}");
    }
}
