//! The same plugin, called by the same gateway in memory in every way there is, must have the same trace: linked in, from
//! its built file through both doors, and its twins in C, C++ and Go.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};
use std::process::Command;

use abi_stable::library::lib_header_from_path;
use libloading::Library;
use swapgate_abi::{DOOR_REV, ENTRY_SYMBOL, EntryFn, PluginRootRef};
use swapgate_plugin::testing::{Exchange, Host};

/// Builds a twin as its Makefile does.
fn build_twin(folder: &Path, language: &str) -> Library {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk-c");
    let file = folder.join(format!("libconformance_{language}.so"));
    let status = Command::new("make")
        .arg("-s")
        .arg("-C")
        .arg(sdk)
        .arg(format!("BUILD={}", folder.display()))
        .arg(&file)
        .status()
        .expect("make and a compiler are needed to build the twin");
    assert!(status.success());
    // SAFETY: the library is ours, and has no constructors but that of the runtime of Go, which only starts threads.
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

/// The built file of this package; cargo puts it beside the test.
fn built_file() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let name = format!("{DLL_PREFIX}conformance{DLL_SUFFIX}");
    test.with_file_name(name)
}

#[track_caller]
fn check_same(ours: &Host, other: &Host) {
    assert_eq!(ours.phases(), other.phases());
    for config in [
        "{}",
        r#"{"respond": "rewrite"}"#,
        r#"{"respond": "access"}"#,
    ] {
        let (expected, found) = (trace(ours, config), trace(other, config));
        assert_eq!(expected, found, "{config}");
        assert!(expected.len() > 250, "{}", expected.len());
    }
}

#[test]
fn the_twin_in_c_has_the_same_trace() {
    check_twin("c");
}

#[test]
fn the_twin_in_cpp_has_the_same_trace() {
    check_twin("cpp");
}

#[test]
fn the_twin_in_go_has_the_same_trace() {
    check_twin("go");
}

#[track_caller]
fn check_twin(language: &str) {
    let folder = tempfile::tempdir().unwrap();
    let library = build_twin(folder.path(), language);
    // SAFETY: that is the type of this symbol in the contract.
    let entry = unsafe { library.get::<EntryFn>(ENTRY_SYMBOL) }.unwrap();
    // SAFETY: the twin keeps the contract, and `library` is dropped after the host.
    let twin = unsafe { Host::from_entry(*entry) }.unwrap();
    check_same(&Host::of::<conformance::Conformance>(), &twin);
}

#[test]
fn both_doors_of_the_built_file_have_the_same_trace() {
    let ours = Host::of::<conformance::Conformance>();

    // SAFETY: the library is ours and has no constructors.
    let library = unsafe { Library::new(built_file()) }.unwrap();
    // SAFETY: that is the type of this symbol in the contract.
    let c_door = unsafe { library.get::<EntryFn>(ENTRY_SYMBOL) }.unwrap();
    // SAFETY: the plugin keeps the contract, and `library` is dropped after the host.
    let through_c = unsafe { Host::from_entry(*c_door) }.unwrap();
    check_same(&ours, &through_c);
    drop(through_c);

    let header = lib_header_from_path(&built_file()).unwrap();
    let root = header.init_root_module::<PluginRootRef>().unwrap();
    assert_eq!(root.door_rev(), DOOR_REV);
    // SAFETY: behind the opaque pointer of the root is an EntryFn (swapgate-abi, root).
    let rust_door = unsafe { std::mem::transmute::<extern "C" fn(), EntryFn>(root.entry()) };
    assert_eq!(rust_door as usize, *c_door as usize, "one implementation");
    // SAFETY: the plugin keeps the contract, and abi_stable never closes a library.
    let through_rust = unsafe { Host::from_entry(rust_door) }.unwrap();
    check_same(&ours, &through_rust);
}
