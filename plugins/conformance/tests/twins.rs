//! The plugin in Rust and its twin in C, called by the same gateway in memory, must have the same trace.

use std::path::Path;
use std::process::Command;

use libloading::Library;
use swapgate_abi::{ENTRY_SYMBOL, EntryFn};
use swapgate_plugin::testing::{Exchange, Host};

/// Builds the twin in C as its Makefile does.
fn build_twin(folder: &Path) -> Library {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk-c");
    let file = folder.join("libconformance_c.so");
    let status = Command::new("make")
        .arg("-s")
        .arg("-C")
        .arg(sdk)
        .arg(format!("BUILD={}", folder.display()))
        .arg(&file)
        .status()
        .expect("make and a C compiler are needed to build the twin");
    assert!(status.success());
    // SAFETY: the library is ours and has no constructors.
    unsafe { Library::new(&file) }.unwrap()
}

/// The words of every phase, in order.
fn trace(host: &Host, config: &str) -> Vec<String> {
    let instance = host.configure(config).unwrap();
    let before = host.logs().len();
    let exchange = Exchange::new()
        .method("POST")
        .path("/x/42?a=1")
        .param("id", "42")
        .header("x-probe", "first")
        .header("X-Probe", "second");
    let outcome = instance.run(exchange);
    assert_eq!(outcome.failures(), []);
    let mut lines = vec![outcome.response_header("x-trace").unwrap()];
    lines.push(format!("answer {}", outcome.status()));
    lines.extend(
        host.logs()
            .split_off(before)
            .into_iter()
            .map(|line| line.text),
    );
    lines
        .iter()
        .flat_map(|line| line.split(' ').map(str::to_owned))
        .collect()
}

#[test]
fn both_have_the_same_trace() {
    let folder = tempfile::tempdir().unwrap();
    let library = build_twin(folder.path());
    // SAFETY: that is the type of this symbol in the contract.
    let entry = unsafe { library.get::<EntryFn>(ENTRY_SYMBOL) }.unwrap();
    // SAFETY: the twin keeps the contract, and `library` is dropped after the host.
    let twin = unsafe { Host::from_entry(*entry) }.unwrap();
    let ours = Host::of::<conformance::Conformance>();
    assert_eq!(ours.phases(), twin.phases());
    for config in [
        "{}",
        r#"{"respond": "rewrite"}"#,
        r#"{"respond": "access"}"#,
    ] {
        let (in_rust, in_c) = (trace(&ours, config), trace(&twin, config));
        assert_eq!(in_rust, in_c, "{config}");
        assert!(in_rust.len() > 250, "{}", in_rust.len());
    }
}
