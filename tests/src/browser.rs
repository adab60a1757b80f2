//! A real browser without a window. What a page found out it reports to an upstream, which the test reads.

use std::net::IpAddr;
use std::process::Command;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::certificates::Pair;
use crate::child::Running;

/// A Chromium with a profile of its own; dropping it ends all of its processes.
pub struct Browser {
    /// Ended before its folder goes.
    _process: Running,
    _profile: TempDir,
}

impl Browser {
    /// Opens a page of a host whose name stands for this address. The certificate is believed by its key, as no
    /// authority of ours stands in the browser's list.
    ///
    /// # Panics
    /// When it is not installed.
    #[must_use]
    #[track_caller]
    pub fn open(url: &str, address: IpAddr, certificate: &Pair) -> Self {
        let profile = tempfile::tempdir().expect("the system has a temporary folder");
        let mut command = Command::new("chromium");
        command
            // Tests run as root in containers, where its sandbox does not start.
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args([
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
            ])
            .args([
                "--disable-component-update",
                "--disable-sync",
                "--no-proxy-server",
            ])
            // It stays until it is killed, and writes what pages say to its console.
            .args(["--remote-debugging-port=0", "--enable-logging=stderr"])
            .arg(format!("--host-resolver-rules=MAP * {address}"))
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!(
                "--ignore-certificate-errors-spki-list={}",
                base64(&Sha256::digest(&certificate.public_key))
            ))
            .arg(url);
        Self {
            _process: Running::start(&mut command),
            _profile: profile,
        }
    }
}

/// As the browser wants it (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for position in 0..4 {
            let letter = (bits >> (18 - 6 * position)) & 63;
            let there = position <= group.len();
            text.push(if there {
                char::from(LETTERS[letter as usize])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
