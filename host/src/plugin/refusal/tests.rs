//! Sentences as operators read them.

use swapgate_plugin::version::{Range, negotiate};

use super::*;

#[track_caller]
fn check(reason: Reason, expected: &str) {
    let refusal = Refusal::new(Step::Inspect, "plugins.d/a.so", reason);
    assert_eq!(refusal.text(), format!("plugins.d/a.so: {expected}"));
}

#[track_caller]
fn check_version((major, min_minor, max_minor): (u32, u32, u32), expected: &str) {
    let plugin = Range {
        major,
        min_minor,
        max_minor,
    };
    let mismatch = negotiate(plugin, Range::CURRENT).expect_err("they do not fit");
    check(Reason::version("demo 1.2.3", &mismatch), expected);
}

#[test]
fn the_version_template_says_needs_offers_and_advice() {
    check_version(
        (1, 4, 6),
        "plugin demo 1.2.3 needs plugin contract 1.4 to 1.6, this gateway (swapgate 0.1.0) offers 0.4; run a \
         gateway that offers 1.4 to 1.6, or build the plugin for 0.4",
    );
    check_version(
        (0, 5, 5),
        "plugin demo 1.2.3 needs plugin contract 0.5, this gateway (swapgate 0.1.0) offers 0.4; run a gateway \
         that offers 0.5, or build the plugin for 0.4",
    );
    check_version(
        (0, 0, 0),
        "plugin demo 1.2.3 needs plugin contract 0.0, this gateway (swapgate 0.1.0) offers 0.4; build the plugin \
         for 0.4",
    );
}

#[test]
fn what_the_system_had_not_to_give_is_told_from_what_is_wrong_with_the_file() {
    let dlopen = |error: &str| Reason::Dlopen {
        error: error.to_owned(),
    };
    for short in [
        "failed to map segment from shared object",
        "cannot create shared object descriptor: Cannot allocate memory",
        "a.so: cannot open shared object file: Too many open files",
    ] {
        assert!(dlopen(short).is_of_system() && dlopen(short).is_passing());
    }
    assert!(!dlopen("libz.so: cannot open shared object file: No such file").is_passing());
    let crashed = |how: &str, said: &str| Reason::Crashed {
        at: "configure".to_owned(),
        how: how.to_owned(),
        said: said.to_owned(),
    };
    let said = ", saying \"memory allocation of 64 bytes failed\"";
    assert!(crashed("SIGABRT", said).is_of_system());
    assert!(crashed(KILLED, "").is_of_system());
    assert!(!crashed("SIGABRT", "").is_passing());
    assert!(!Reason::ShuttingDown.is_of_system() && Reason::ShuttingDown.is_passing());
}

#[test]
fn a_reason_survives_being_written_down() {
    let reason = Reason::Truncated {
        bytes: 1,
        needed: 2,
    };
    let json = serde_json::to_string(&reason).expect("serialises");
    let back: Reason = serde_json::from_str(&json).expect("parses");
    assert_eq!(back, reason);
    check(
        back,
        "it is cut off: it has 1 bytes, but its headers describe 2; copy the built plugin there again",
    );
}
