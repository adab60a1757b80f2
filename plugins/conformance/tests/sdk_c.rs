//! The examples of the C SDK, called by the gateway in memory.

use std::path::Path;
use std::process::Command;

use libloading::Library;
use swapgate_abi::{ENTRY_SYMBOL, EntryFn};
use swapgate_plugin::testing::{Exchange, Host, Phase};

/// Builds one example as the Makefile does, and runs `check` with its host.
fn with_example(name: &str, check: impl FnOnce(&Host)) {
    let folder = tempfile::tempdir().unwrap();
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk-c");
    let file = folder.path().join(format!("lib{name}_c.so"));
    let status = Command::new("make")
        .arg("-s")
        .arg("-C")
        .arg(sdk)
        .arg(format!("BUILD={}", folder.path().display()))
        .arg(&file)
        .status()
        .expect("make and a C compiler are needed to build the examples");
    assert!(status.success());
    // SAFETY: the library is ours and has no constructors.
    let library = unsafe { Library::new(&file) }.unwrap();
    // SAFETY: that is the type of this symbol in the contract.
    let entry = unsafe { library.get::<EntryFn>(ENTRY_SYMBOL) }.unwrap();
    // SAFETY: the example keeps the contract, and `library` is dropped after the host.
    let host = unsafe { Host::from_entry(*entry) }.unwrap();
    check(&host);
}

#[test]
fn minimal_sets_the_header_it_is_told_to() {
    with_example("minimal", |host| {
        assert_eq!(host.phases(), [Phase::HeaderFilter]);
        assert_eq!(host.schema()["additionalProperties"], false);
        let config = " { \"name\" : \"x-served-by\",\n\"value\":\"swapgate\" } ";
        let outcome = host.configure(config).unwrap().run(Exchange::new());
        assert_eq!(outcome.failures(), []);
        assert_eq!(outcome.response_header("x-served-by").unwrap(), "swapgate");
    });
}

#[test]
fn minimal_refuses_what_it_cannot_read() {
    with_example("minimal", |host| {
        for config in [
            "",
            "{}",
            "[]",
            "{\"name\": \"a\"}",
            "{\"name\": \"a\", \"value\": 1}",
            "{\"name\": \"a\", \"value\": \"b\\\"\"}",
            "{\"name\": \"a\", \"value\": \"b\"",
            "{\"name\": \"a\", \"value\": \"b\"} x",
            "{\"name\": \"a\", \"value\": \"b\", \"more\": \"c\"}",
        ] {
            let error = host.configure(config).map(drop).unwrap_err();
            assert!(error.starts_with("expected {\"name\""), "{config}: {error}");
        }
    });
}

#[test]
fn stamp_marks_both_sides() {
    with_example("stamp", |host| {
        let outcome = host.configure("{}").unwrap().run(Exchange::new());
        assert_eq!(outcome.request_header("x-stamp-request").unwrap(), "unset");
        assert_eq!(
            outcome.response_header("x-stamp-response").unwrap(),
            "unset"
        );
    });
}
