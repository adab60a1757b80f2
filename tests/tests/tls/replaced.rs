//! Certificates that are replaced while traffic flows.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use swapgate_tests::certificates::{Certificates, Pair};
use swapgate_tests::secure::fingerprint_of;
use swapgate_tests::{Gateway, Secure, eventually};

use super::{client, gateway, showing};

/// The fingerprint of what the listener shows, as it tells.
fn shown(gateway: &Gateway) -> String {
    let status = gateway.status();
    let fingerprint = &status["listeners"][0]["certificates"][0]["fingerprint"];
    fingerprint.as_str().unwrap_or_default().to_owned()
}

#[track_caller]
fn wait_until_shown(gateway: &Gateway, pair: &Pair) {
    let expected = fingerprint_of(pair);
    eventually!(
        shown(gateway) == expected,
        "{} to be shown: {}",
        expected,
        gateway.status()
    );
}

/// What clients saw that never pause.
#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    answers: AtomicU64,
    sessions: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Seen {
    fn fail(&self, what: &str, error: &std::io::Error) {
        self.failures
            .lock()
            .expect("nobody panics")
            .push(format!("{what}: {error}"));
    }

    fn get(&self, session: &mut Secure) -> bool {
        match session.get("a.example", "/") {
            Ok(answer) if answer.status == 200 && answer.body == b"hello" => {
                self.answers.fetch_add(1, Ordering::SeqCst);
                true
            }
            Ok(answer) => {
                self.fail("answer", &std::io::Error::other(answer.head));
                false
            }
            Err(error) => {
                self.fail("request", &error);
                false
            }
        }
    }
}

#[test]
fn a_hundred_times_under_load_and_nothing_fails() {
    let certificates = Certificates::new();
    let mut pair = certificates.server(&["a.example"]);
    let gateway = gateway(&showing(&[&pair])).start();
    let (address, seen) = (gateway.address(), Arc::new(Seen::default()));
    let mut threads = Vec::new();
    // Connections that stay open for the whole time.
    for _ in 0..4 {
        let (seen, config) = (Arc::clone(&seen), client(&certificates));
        let mut session = config.connect(address, "a.example").expect("a session");
        threads.push(thread::spawn(move || {
            while !seen.stop.load(Ordering::SeqCst) && seen.get(&mut session) {
                thread::yield_now();
            }
        }));
    }
    // Connections that come and go: with whole handshakes, and with sessions that are taken up again.
    for keeps_sessions in [false, true] {
        let seen = Arc::clone(&seen);
        let make = {
            let ca = certificates.ca();
            move || swapgate_tests::SecureConfig::new(&ca, None)
        };
        threads.push(thread::spawn(move || {
            let mut config = make();
            while !seen.stop.load(Ordering::SeqCst) {
                if !keeps_sessions {
                    config = make();
                }
                match config.connect(address, "a.example") {
                    Ok(mut session) => {
                        seen.sessions.fetch_add(1, Ordering::SeqCst);
                        seen.get(&mut session);
                    }
                    Err(error) => seen.fail("handshake", &error),
                }
            }
        }));
    }
    for _ in 0..100 {
        let before = seen.sessions.load(Ordering::SeqCst);
        pair = certificates.server(&["a.example"]);
        wait_until_shown(&gateway, &pair);
        eventually!(
            seen.sessions.load(Ordering::SeqCst) > before + 1,
            "new connections"
        );
    }
    let fresh = client(&certificates)
        .connect(address, "a.example")
        .expect("a session");
    assert_eq!(fresh.fingerprint(), fingerprint_of(&pair));
    seen.stop.store(true, Ordering::SeqCst);
    for thread in threads {
        thread.join().expect("it only counts");
    }
    let failures = seen.failures.lock().expect("nobody panics");
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(seen.answers.load(Ordering::SeqCst) > 500);
    assert!(gateway.generation() > 100);
}

#[test]
fn a_key_that_comes_before_its_certificate_is_said_once_and_does_no_harm() {
    let certificates = Certificates::new();
    let pair = certificates.server(&["a.example"]);
    let gateway = gateway(&showing(&[&pair])).start();
    let first = fingerprint_of(&pair);
    let generation = gateway.generation();
    let next = Certificates::new();
    let new = next.server(&["a.example"]);
    let put = |from: &std::path::Path, to: &std::path::Path| {
        let aside = to.with_extension("next");
        fs::copy(from, &aside).expect("the folders are ours");
        fs::rename(aside, to).expect("the folder is ours");
    };
    put(&new.key, &pair.key);
    let status = gateway.wait_for_status("the refusal", |status| {
        status["last_change"]["outcome"] == "refused"
    });
    assert_eq!(status["last_change"]["trigger"], "files");
    let error = status["last_change"]["errors"][0]
        .as_str()
        .expect("an error")
        .to_owned();
    assert!(
        error.contains("a.example.key does not belong to the certificate in"),
        "{error}"
    );
    let notes = status["notes"].to_string();
    assert!(
        notes.contains("what was read before serves on: "),
        "{notes}"
    );
    let session = client(&certificates)
        .connect(gateway.address(), "a.example")
        .expect("it serves on");
    assert_eq!(
        (session.fingerprint(), gateway.generation()),
        (first, generation)
    );
    // Written again it says the same, which is no news.
    put(&new.key, &pair.key);
    put(&new.certificate, &pair.certificate);
    wait_until_shown(&gateway, &new);
    let session = client(&next)
        .connect(gateway.address(), "a.example")
        .expect("a session");
    assert_eq!(session.fingerprint(), fingerprint_of(&new));
    let said = gateway
        .log_messages()
        .iter()
        .filter(|line| line.contains("does not belong"))
        .count();
    assert_eq!(said, 1, "{}", gateway.log());
    let notes = gateway.status()["notes"].to_string();
    assert!(!notes.contains("serves on"), "{notes}");
}

#[test]
fn as_kubernetes_does_it_with_links() {
    let all = [
        Certificates::new(),
        Certificates::new(),
        Certificates::new(),
    ];
    let pairs: Vec<Pair> = all.iter().map(|one| one.server(&["a.example"])).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    for (version, pair) in pairs.iter().enumerate() {
        let into = at(&format!("..{version}"));
        fs::create_dir(&into).expect("ours");
        fs::copy(&pair.certificate, into.join("tls.crt")).expect("ours");
        fs::copy(&pair.key, into.join("tls.key")).expect("ours");
    }
    let lead = |version: usize| {
        symlink(format!("..{version}"), at("..next")).expect("ours");
        fs::rename(at("..next"), at("..data")).expect("ours");
    };
    lead(0);
    symlink("..data/tls.crt", at("tls.crt")).expect("ours");
    symlink("..data/tls.key", at("tls.key")).expect("ours");
    let mounted = Pair {
        certificate: at("tls.crt"),
        key: at("tls.key"),
        public_key: Vec::new(),
    };
    let gateway = gateway(&showing(&[&mounted])).start();
    for (version, pair) in pairs.iter().enumerate().skip(1) {
        lead(version);
        fs::remove_dir_all(at(&format!("..{}", version - 1))).expect("ours");
        wait_until_shown(&gateway, pair);
    }
    assert_eq!(gateway.generation(), 3, "one generation for each");
}

#[test]
fn the_same_again_is_no_change() {
    let certificates = Certificates::new();
    let pair = certificates.server(&["a.example"]);
    let gateway = gateway(&showing(&[&pair]))
        .argument("--log")
        .argument("debug")
        .start();
    let generation = gateway.generation();
    let text = fs::read(&pair.certificate).expect("a file");
    let aside = pair.certificate.with_extension("next");
    fs::write(&aside, text).expect("ours");
    fs::rename(aside, &pair.certificate).expect("ours");
    gateway.wait_for_log("files were written anew and say the same");
    assert_eq!(gateway.generation(), generation);
    assert_eq!(gateway.last_change()["trigger"], "start");
}
