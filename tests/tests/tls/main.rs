//! TLS towards clients: which certificate they are shown, what is spoken, sessions that are taken up again, certificates of
//! clients, and files that are replaced while traffic flows. openssl is the judge of what is on the wire.

mod clients;
mod files;
mod ocsp;
mod replaced;
mod resumption;
mod shown;
mod spoken;
mod written;

use swapgate_tests::builder::Builder;
use swapgate_tests::certificates::{Certificates, Pair};
use swapgate_tests::{Gateway, SecureConfig};

/// A whole file with one listener that speaks TLS so, and a route that answers by itself.
fn text(tls: &str) -> String {
    format!(
        "format: 1\nadmin: {{address: \"127.0.0.1:0\"}}\nplugins_dir: plugins.d\nstate_dir: state\nworkers: 2\n\
         listeners:\n  - name: secure\n    address: \"127.0.0.1:0\"\n    {tls}\n\
         routes: [{{name: all, respond: {{status: 200, body: \"hello\"}}}}]\n"
    )
}

/// The same for these certificates and nothing special.
fn showing(pairs: &[&Pair]) -> String {
    text(&format!("tls: {{certificates: [{}]}}", entries(pairs)))
}

fn entries(pairs: &[&Pair]) -> String {
    let entries: Vec<String> = pairs.iter().map(|pair| pair.entry()).collect();
    entries.join(", ")
}

fn gateway(text: &str) -> Builder {
    Gateway::with_whole(text)
}

/// A client that believes the authority of a test.
fn client(certificates: &Certificates) -> SecureConfig {
    SecureConfig::new(&certificates.ca(), None)
}
