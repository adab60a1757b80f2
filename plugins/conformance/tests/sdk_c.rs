//! The examples of the C SDK, called by the gateway in memory.

use std::path::Path;
use std::process::Command;

use libloading::Library;
use swapgate_abi::{
    ENTRY_SYMBOL, EntryFn, SG_E_VERSION, SG_OK, SgEntryArgs, SgEntryOut, SgErrorBuf,
};
use swapgate_plugin::testing::{Exchange, Host, Phase};
use swapgate_plugin::version::{Range, negotiate};

/// Builds one example as the Makefile does, and runs `check` with its entry.
fn with_entry(name: &str, check: impl FnOnce(EntryFn)) {
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
    // SAFETY: that is the type of this symbol in the contract; `library` outlives the check.
    let entry = unsafe { library.get::<EntryFn>(ENTRY_SYMBOL) }.unwrap();
    check(*entry);
}

/// Runs `check` with the host of an example.
fn with_example(name: &str, check: impl FnOnce(&Host)) {
    with_entry(name, |entry| {
        // SAFETY: the example keeps the contract, and its library is closed after the host is dropped.
        let host = unsafe { Host::from_entry(entry) }.unwrap();
        check(&host);
    });
}

/// Enters with the versions of a gateway; the negotiated minor, or the refusal.
fn enter(entry: EntryFn, gateway: Range) -> Result<u32, String> {
    let mut text = [0_u8; 256];
    let args = SgEntryArgs {
        struct_size: u32::try_from(size_of::<SgEntryArgs>()).unwrap(),
        abi_major: gateway.major,
        abi_min_minor: gateway.min_minor,
        abi_max_minor: gateway.max_minor,
        flags: 0,
        reserved: 0,
        features: 0,
        host: std::ptr::null(),
    };
    let mut out = SgEntryOut {
        struct_size: u32::try_from(size_of::<SgEntryOut>()).unwrap(),
        abi_minor: u32::MAX,
        plugin: std::ptr::null(),
        error: SgErrorBuf {
            ptr: text.as_mut_ptr(),
            cap: text.len(),
            len: 0,
        },
    };
    // SAFETY: both structures live across the call, and entry alone does not look into the host table.
    match unsafe { entry(&raw const args, &raw mut out) } {
        SG_OK => Ok(out.abi_minor),
        SG_E_VERSION => {
            let len = out.error.len;
            Err(String::from_utf8(text[..len].to_vec()).unwrap())
        }
        code => panic!("unexpected code {code}"),
    }
}

#[test]
fn every_example_negotiates_as_the_rust_sdk_does() {
    let gateways = [
        (0, 2, 2),
        (0, 0, 0),
        (0, 1, 1),
        (0, 3, 3),
        (0, 2, 3),
        (1, 0, 12),
    ];
    for name in ["minimal", "conformance", "stamp"] {
        with_entry(name, |entry| {
            for (major, min_minor, max_minor) in gateways {
                let gateway = Range {
                    major,
                    min_minor,
                    max_minor,
                };
                let expected = negotiate(Range::CURRENT, gateway);
                assert_eq!(
                    enter(entry, gateway),
                    expected.map_err(|mismatch| mismatch.to_string()),
                    "{name} and {gateway}"
                );
            }
        });
    }
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
