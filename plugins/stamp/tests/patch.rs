//! The text in the built file can be replaced without a compiler.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::path::PathBuf;

use libloading::Library;
use swapgate_abi::{ENTRY_SYMBOL, EntryFn};
use swapgate_plugin::testing::{Exchange, Host};

const MARKER: &[u8] = b"SWAPGATE-STAMP:";

/// The built file of this package; cargo puts it beside the test.
fn built_file() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.with_file_name(format!("{DLL_PREFIX}stamp{DLL_SUFFIX}"))
}

#[test]
fn a_patched_file_stamps_the_new_text() {
    let mut bytes = fs::read(built_file()).unwrap();
    let places: Vec<usize> = bytes
        .windows(MARKER.len())
        .enumerate()
        .filter_map(|(at, window)| (window == MARKER).then_some(at))
        .collect();
    let [place] = places[..] else {
        panic!("the marker stands {} times in the file", places.len());
    };
    let text = b"version-37\0";
    let from = place + MARKER.len();
    bytes[from..from + text.len()].copy_from_slice(text);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("patched.so");
    fs::write(&file, bytes).unwrap();

    // SAFETY: the library is ours and has no constructors.
    let library = unsafe { Library::new(file) }.unwrap();
    // SAFETY: that is the type of this symbol in the contract.
    let entry = unsafe { library.get::<EntryFn>(ENTRY_SYMBOL) }.unwrap();
    // SAFETY: the plugin keeps the contract, and `library` is dropped after the host.
    let host = unsafe { Host::from_entry(*entry) }.unwrap();
    let outcome = host.configure("{}").unwrap().run(Exchange::new());
    assert_eq!(
        outcome.request_header("x-stamp-request").unwrap(),
        "version-37"
    );
    assert_eq!(
        outcome.response_header("x-stamp-response").unwrap(),
        "version-37"
    );
}
