//! Panics in the built file, which has its own copy of the standard library: they must stop at its border.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::sync::{Mutex, MutexGuard, PoisonError};

use libloading::Library;
use swapgate_abi::{ENTRY_SYMBOL, EntryFn};
use swapgate_plugin::HostError;
use swapgate_plugin::testing::{Exchange, Host};

/// An image serves one gateway at a time, and both tests enter the same one.
static IMAGE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    IMAGE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open() -> Library {
    let test = std::env::current_exe().unwrap();
    let file = test.with_file_name(format!("{DLL_PREFIX}faulty{DLL_SUFFIX}"));
    // SAFETY: the library is ours, and its constructor does nothing in a file that is not patched.
    unsafe { Library::new(file) }.unwrap()
}

#[test]
fn a_panic_stays_in_the_exchange_and_is_told() {
    let _alone = alone();
    let library = open();
    // SAFETY: that is the type of this symbol in the contract.
    let entry = unsafe { library.get::<EntryFn>(ENTRY_SYMBOL) }.unwrap();
    // SAFETY: the plugin keeps the contract, and `library` is dropped after the host.
    let host = unsafe { Host::from_entry(*entry) }.unwrap();
    let config = r#"{"access": "panic", "header_filter": "panic_twice", "destroy": "panic", "when": "x-fault"}"#;
    let instance = host.configure(config).unwrap();
    for _ in 0..2 {
        let outcome = instance.run(Exchange::new().header("x-fault", ""));
        assert_eq!(outcome.status(), 500);
        let [failure] = outcome.failures() else {
            panic!("{:?}", outcome.failures());
        };
        assert_eq!(failure.error, HostError::Panic);
        let expected = "panicked: the test asked for a panic (at plugins/faulty/src/lib.rs:";
        assert!(failure.text.starts_with(expected), "{}", failure.text);
        assert_eq!(instance.run(Exchange::new()).status(), 200);
    }
    drop(instance);
    let panics = host.logs().into_iter();
    let panics = panics.filter(|line| line.level == log::Level::Error);
    assert_eq!(panics.count(), 3, "two in access, one in destroy");
}

#[test]
fn an_image_can_be_entered_again_after_unload() {
    let _alone = alone();
    let library = open();
    // SAFETY: that is the type of this symbol in the contract.
    let entry = unsafe { library.get::<EntryFn>(ENTRY_SYMBOL) }.unwrap();
    for _ in 0..3 {
        // SAFETY: the plugin keeps the contract, and `library` is dropped after the host.
        let host = unsafe { Host::from_entry(*entry) }.unwrap();
        let instance = host.configure(r#"{"access": {"respond": 418}}"#).unwrap();
        assert_eq!(instance.run(Exchange::new()).status(), 418);
    }
}
