//! Sessions that are taken up again.

use std::path::Path;

use swapgate_tests::certificates::{Certificates, Pair};
use swapgate_tests::openssl::get;
use swapgate_tests::{Gateway, eventually};

use super::{client, entries, gateway, showing, text};

/// Whether openssl was let take up the session in this file.
#[track_caller]
fn takes_up(gateway: &Gateway, file: &Path, version: &str) -> bool {
    let file = file.display().to_string();
    let told = get(
        gateway.address(),
        &[version, "-servername", "a.example", "-sess_in", &file],
    )
    .text();
    assert!(told.contains("HTTP/1.1 200 OK"), "{told}");
    told.contains("\nReused, ")
}

/// Has openssl begin a session and keep it.
#[track_caller]
fn begin(gateway: &Gateway, file: &Path, version: &str, more: &[&str]) {
    let file = file.display().to_string();
    let arguments = [
        &[version, "-servername", "a.example", "-sess_out", &file],
        more,
    ]
    .concat();
    let told = get(gateway.address(), &arguments).text();
    assert!(
        told.contains("\nNew, ") && told.contains("HTTP/1.1 200 OK"),
        "{told}"
    );
}

#[test]
fn by_tickets_in_both_versions_and_over_reloads_and_new_certificates() {
    let certificates = Certificates::new();
    let pair = certificates.server(&["a.example"]);
    let plain = showing(&[&pair]);
    let gateway = gateway(&plain).start();
    let files =
        ["-tls1_2", "-tls1_3"].map(|version| (version, certificates.folder().join(version)));
    for (version, file) in &files {
        begin(&gateway, file, version, &[]);
    }
    let both = |when: &str| {
        for (version, file) in &files {
            assert!(takes_up(&gateway, file, version), "{version} {when}");
        }
    };
    both("at once");
    gateway.reload_same_by_signal();
    both("after a reload");
    let generation = gateway.generation();
    let _ = certificates.server(&["a.example"]);
    gateway.wait_for_generation_after(generation);
    both("after a new certificate");
    gateway.wait_for_metric(
        "swapgate_tls_handshakes_total{listener=\"secure\",version=\"TLSv1.3\",resumed=\"true\"}",
        3.0,
    );
    gateway.wait_for_metric(
        "swapgate_tls_handshakes_total{listener=\"secure\",version=\"TLSv1.2\",resumed=\"true\"}",
        3.0,
    );
}

#[test]
fn on_every_worker() {
    let certificates = Certificates::new();
    let pair = certificates.server(&["a.example"]);
    let gateway = gateway(&showing(&[&pair])).start();
    let client = client(&certificates);
    let connect = || {
        let mut session = client
            .connect(gateway.address(), "a.example")
            .expect("a session");
        assert_eq!(
            session.get("a.example", "/").expect("an answer").status,
            200
        );
        session.is_resumed()
    };
    assert!(!connect());
    // The system deals connections out among the workers.
    for _ in 0..40 {
        assert!(connect());
    }
}

#[test]
fn s_client_reconnects_five_times() {
    let certificates = Certificates::new();
    let pair = certificates.server(&["a.example"]);
    let gateway = gateway(&showing(&[&pair])).start();
    let told =
        swapgate_tests::openssl::handshake(gateway.address(), &["-tls1_2", "-reconnect"]).text();
    assert_eq!(told.matches("\nReused, TLSv1.2").count(), 5, "{told}");
}

/// One listener that asks its clients like this.
fn asking(pair: &Pair, clients: &str) -> String {
    let entries = entries(&[pair]);
    text(&format!("tls: {{certificates: [{entries}]{clients}}}"))
}

#[test]
fn never_across_a_change_of_what_clients_must_show() {
    let certificates = Certificates::new();
    let other = Certificates::new();
    let pair = certificates.server(&["a.example"]);
    let alice = certificates.client("alice", &[]);
    let with = |mode: &str, ca: &Path| {
        asking(
            &pair,
            &format!(
                ", client_certificates: {{mode: {mode}, ca: \"{}\"}}",
                ca.display()
            ),
        )
    };
    let nobody = asking(&pair, "");
    let gateway = gateway(&nobody).start();
    let session = |name: &str| certificates.folder().join(name);
    let paths = [&alice.certificate, &alice.key].map(|path| path.display().to_string());
    let shows = ["-cert", &paths[0], "-key", &paths[1]];
    let reload = |text: &str| {
        let number = gateway.last_change()["number"].clone();
        gateway.rename_whole_config(text);
        eventually!(gateway.last_change()["number"] != number);
        assert_eq!(
            gateway.last_change()["outcome"],
            "published",
            "{}",
            gateway.status()
        );
    };
    begin(&gateway, &session("free"), "-tls1_3", &[]);
    assert!(takes_up(&gateway, &session("free"), "-tls1_3"));
    reload(&with("optional", &certificates.ca()));
    assert!(
        !takes_up(&gateway, &session("free"), "-tls1_3"),
        "nobody was asked then"
    );
    begin(&gateway, &session("alice"), "-tls1_3", &shows);
    assert!(takes_up(&gateway, &session("alice"), "-tls1_3"));
    reload(&with("optional", &other.ca()));
    assert!(
        !takes_up(&gateway, &session("alice"), "-tls1_3"),
        "its authority is not believed any more"
    );
    begin(&gateway, &session("without"), "-tls1_2", &[]);
    assert!(takes_up(&gateway, &session("without"), "-tls1_2"));
    reload(&with("required", &other.ca()));
    let file = session("without").display().to_string();
    let told = get(
        gateway.address(),
        &["-tls1_2", "-servername", "a.example", "-sess_in", &file],
    );
    assert!(!told.text().contains("HTTP/1.1 200"), "{told:?}");
    reload(&nobody);
    assert!(
        !takes_up(&gateway, &session("free"), "-tls1_3"),
        "the keys of before are gone"
    );
}
