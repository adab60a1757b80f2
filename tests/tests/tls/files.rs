//! Files that cannot be used, or only just: what is said of them at a start, in a check and at a reload.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, date_time_ymd};
use serde_json::Value;
use swapgate_tests::certificates::Certificates;
use swapgate_tests::openssl::openssl;
use swapgate_tests::{artifacts, child};

use super::{client, gateway, showing, text};

/// What `swapgate check` says of a listener whose certificate and key these are.
#[track_caller]
fn checked(folder: &Path, certificate: &str, key: &str) -> (Option<i32>, Value) {
    let config = folder.join("swapgate.yaml");
    let certificates =
        format!("tls: {{certificates: [{{certificate: {certificate}, key: {key}}}]}}");
    fs::write(&config, text(&certificates)).expect("the folder is ours");
    let mut check = Command::new(artifacts::gateway());
    check.current_dir(folder);
    check.args(["check", "--format", "json", "--config", "swapgate.yaml"]);
    let finished = child::run(&mut check);
    (finished.status.code(), finished.json())
}

#[test]
fn each_is_refused_with_a_sentence_of_its_own() {
    let all = Certificates::new();
    let folder = all.folder();
    let (a, b) = (all.server(&["a.example"]), all.server(&["b.example"]));
    let text_of = |path: &Path| fs::read_to_string(path).expect("a file");
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("ours");
    write("empty", "");
    write("text", "hello\n");
    write("half.pem", &text_of(&a.certificate)[..200]);
    write(
        "both.pem",
        &(text_of(&b.certificate) + &text_of(&a.certificate)),
    );
    write(
        "bad.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let at = |name: &str| folder.join(name).display().to_string();
    openssl(&[
        "pkey",
        "-in",
        &at("a.example.key"),
        "-out",
        &at("locked.key"),
        "-aes128",
        "-passout",
        "pass:x",
    ]);
    openssl(&[
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:secp256k1",
        "-out",
        &at("odd.key"),
    ]);
    let check = |certificate: &str, key: &str, expected: &str| {
        let (code, document) = checked(folder, certificate, key);
        assert_eq!(code, Some(2), "{document}");
        let error = &document["errors"][0];
        let message = error["message"].as_str().expect("a message");
        let message = message.replace(&format!("{}/", folder.display()), "");
        assert_eq!(message, expected);
        assert_eq!(error["line"], 9, "{error}");
        assert!(
            error["key"]
                .as_str()
                .expect("a key")
                .starts_with("listeners[0].tls.certificates[0]."),
            "{error}"
        );
    };
    let (good, key) = ("a.example.pem", "a.example.key");
    check(
        "nowhere.pem",
        key,
        "cannot read nowhere.pem: No such file or directory (os error 2); put a certificate in PEM there, or correct the path",
    );
    check(
        ".",
        key,
        "cannot read .: it is not a regular file; put a certificate in PEM there, or correct the path",
    );
    check(
        "empty",
        key,
        "empty is empty; put the certificate there in PEM, or name the file that has it",
    );
    check(
        "text",
        key,
        "text holds no certificate in PEM; put the certificate there in PEM, or name the file that has it",
    );
    check(
        key,
        key,
        "a.example.key holds a private key and no certificate; put the certificate there in PEM, or name the file that has it",
    );
    check(
        "half.pem",
        key,
        "half.pem is broken PEM (the end of CERTIFICATE is missing); write the whole file again",
    );
    check(
        "bad.pem",
        key,
        "bad.pem begins with a certificate that cannot be read (BadEncoding); ask its authority for another one",
    );
    check(
        good,
        "nowhere.key",
        "cannot read nowhere.key: No such file or directory (os error 2); put a private key in PEM there, or correct the path",
    );
    check(
        good,
        "empty",
        "empty is empty; put the private key there in PEM, or name the file that has it",
    );
    check(
        good,
        good,
        "a.example.pem holds a certificate and no private key; put the private key there in PEM, or name the file that has it",
    );
    check(
        good,
        "locked.key",
        "locked.key holds a key that is locked with a passphrase; write it without one (openssl pkey -in FILE -out FILE), readable by the gateway alone",
    );
    check(
        good,
        "b.example.key",
        "b.example.key does not belong to the certificate in a.example.pem; name the key it was made for; in a file with several certificates the one of this server comes first",
    );
    check(
        "both.pem",
        key,
        "a.example.key does not belong to the certificate in both.pem; name the key it was made for; in a file with several certificates the one of this server comes first",
    );
    let (_, document) = checked(folder, good, "odd.key");
    let message = document["errors"][0]["message"]
        .as_str()
        .expect("a message");
    assert!(
        message.contains("odd.key holds a key that cannot be used")
            && message.contains("; use RSA"),
        "{message}"
    );
    let (code, document) = checked(folder, good, key);
    assert_eq!(code, Some(0), "{document}");
}

#[test]
fn all_of_them_are_told_and_a_start_ends() {
    let all = Certificates::new();
    let pair = all.server(&["a.example"]);
    let wrong = text(&format!(
        "tls: {{certificates: [{{certificate: no.pem, key: no.key}}, {{certificate: \"{}\", key: no.key}}], client_certificates: {{mode: required, ca: no.ca}}}}",
        pair.certificate.display()
    ));
    let refusal = gateway(&wrong).start_refused();
    assert_eq!(refusal.code, Some(2), "{}", refusal.stderr);
    for key in [
        "certificates[0].certificate",
        "certificates[0].key",
        "certificates[1].key",
        "client_certificates.ca",
    ] {
        let found = refusal
            .stderr
            .contains(&format!("listeners[0].tls.{key}: cannot read "));
        assert!(found, "{key}: {}", refusal.stderr);
    }
}

#[test]
fn a_reload_is_refused_and_goes_through_once_the_files_are_there() {
    let all = Certificates::new();
    let (old, new) = (all.server(&["old.example"]), all.server(&["new.example"]));
    let gateway = gateway(&showing(&[&old])).start();
    let away = new.certificate.with_extension("away");
    fs::rename(&new.certificate, &away).expect("ours");
    gateway.rename_whole_config(&showing(&[&new]));
    let status = gateway.wait_for_status("the refusal", |status| {
        status["last_change"]["outcome"] == "refused"
    });
    let error = status["last_change"]["errors"][0]
        .as_str()
        .expect("an error");
    assert!(error.contains("new.example.pem: No such file"), "{error}");
    assert_eq!(status["pending"][0], error, "{status}");
    let config = client(&all);
    config
        .connect(gateway.address(), "old.example")
        .expect("what served serves on");
    fs::rename(away, &new.certificate).expect("ours");
    let status = gateway.wait_for_status("the change", |status| {
        status["last_change"]["outcome"] == "published"
    });
    assert!(status["pending"].is_null(), "{status}");
    config
        .connect(gateway.address(), "new.example")
        .expect("the new one is shown");
}

#[test]
fn what_will_soon_be_wrong_is_said_and_served() {
    use std::os::unix::fs::PermissionsExt as _;
    let all = Certificates::new();
    let with = |name: &str, change: &dyn Fn(&mut CertificateParams)| {
        let mut params = CertificateParams::new(vec![format!("{name}.example")]).expect("a name");
        change(&mut params);
        all.signed(name, &params)
    };
    let ended = with("ended", &|params| {
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    let later = with("later", &|params| {
        params.not_before = date_time_ymd(3000, 1, 1);
    });
    let nameless = with("nameless", &|params| params.subject_alt_names.clear());
    let at = |name: &str| all.folder().join(name).display().to_string();
    let soon = with("soon", &|params| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let in_three_days = now.expect("it is later") + Duration::from_secs(3 * 24 * 3600);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(1970, 1, 1) + in_three_days;
    });
    let entries = [ended.entry(), later.entry(), nameless.entry(), soon.entry()].join(", ");
    for key in ["ended.key", "later.key", "soon.key"] {
        fs::set_permissions(at(key), fs::Permissions::from_mode(0o600)).expect("ours");
    }
    let whole = text(&format!("tls: {{certificates: [{entries}]}}"));
    let gateway = gateway(&whole).start();
    let status = gateway.status();
    let notes: Vec<&str> = status["notes"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let said = |parts: [&str; 2]| {
        notes
            .iter()
            .any(|note| parts.iter().all(|part| note.contains(part)))
    };
    for parts in [
        [
            "the certificate in ",
            "ended.pem ended on 2020-01-01T00:00:00Z: clients will refuse it; replace it",
        ],
        [
            "the certificate in ",
            "later.pem is good from 3000-01-01T00:00:00Z on only",
        ],
        [
            "listeners[0].tls.certificates[2].certificate: ",
            "nameless.pem has a certificate without a name",
        ],
        ["soon.pem ends on ", "; replace it before that"],
        [
            "nameless.key can be read by others than its owner",
            "chmod 600",
        ],
    ] {
        assert!(said(parts), "{parts:?}: {notes:#?}");
    }
    assert!(
        !notes.iter().any(|note| note.contains("soon.key")),
        "{notes:#?}"
    );
    gateway.wait_for_log("ended.pem ended on 2020-01-01");
    let expiry =
        "swapgate_tls_certificate_expiry_seconds{listener=\"secure\",name=\"ended.example\"}";
    assert_eq!(gateway.metrics().value(expiry), Some(1_577_836_800.0));
    let expiry =
        "swapgate_tls_certificate_expiry_seconds{listener=\"secure\",name=\"nameless.pem\"}";
    assert!(
        gateway.metrics().value(expiry).is_some(),
        "{}",
        gateway.metrics().text
    );
    let (code, document) = {
        let folder = all.folder();
        checked(folder, "ended.pem", "ended.key")
    };
    assert_eq!(code, Some(0), "{document}");
    assert!(
        document["notes"][0]
            .as_str()
            .expect("a note")
            .contains("ended on 2020"),
        "{document}"
    );
}
