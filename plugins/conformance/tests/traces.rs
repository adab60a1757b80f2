//! The same plugin, called by the same gateway in memory in every way there is, must have the same trace: linked in, from
//! its built file through both doors, and its twins in C, C++ and Go.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use abi_stable::library::lib_header_from_path;
use libloading::Library;
use swapgate_abi::{DOOR_REV, ENTRY_SYMBOL, EntryFn, PluginRootRef};
use swapgate_plugin::Response;
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

/// A request with a body and trailers in pieces, whose answer has both as well.
fn exchange() -> Exchange {
    Exchange::new()
        .method("POST")
        .path("/x/42?a=1")
        .param("id", "42")
        .header("x-probe", "first")
        .header("X-Probe", "second")
        .body(["hel", "lo"])
        .trailer("x-trailer", "asked")
        .upstream_body(["wor", "ld"])
        .upstream_trailer("x-trailer", "answered")
}

/// The words of every phase, in order.
fn trace(host: &Host, config: &str) -> Vec<String> {
    let instance = host.configure(config).unwrap();
    let before = host.logs().len();
    let flight = instance.begin(exchange());
    if config.contains("never") {
        assert!(flight.is_waiting());
        flight.cancel();
    }
    // Another thread wakes it, whenever the machine lets it.
    let limit = Instant::now() + Duration::from_secs(60);
    while config.contains("wake") && flight.is_waiting() {
        assert!(Instant::now() < limit, "nobody woke it");
        host.settle();
        thread::yield_now();
    }
    let outcome = flight.finish();
    assert_eq!(outcome.failures(), []);
    let mut lines = vec![outcome.response_header("x-trace").unwrap_or_default()];
    lines.push(format!("answer {}", outcome.status()));
    for body in [outcome.request_body(), outcome.body()] {
        lines.push(format!("body {}", String::from_utf8_lossy(body)));
    }
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

/// The words after a change of the configuration, over which an instance hands its state to the next.
fn handed_over(host: &Host) -> Vec<String> {
    let first = host.configure("{}").unwrap();
    let (format, state) = first.export_state().unwrap().expect("it has a state");
    let mut second = host.configure("{}").unwrap();
    let refused = second.import_state(format + 1, &state).unwrap_err();
    second.import_state(format, &state).unwrap();
    let outcome = second.run(exchange());
    let trace = outcome.response_header("x-trace").unwrap_or_default();
    let words = trace.split(' ').filter(|word| word.contains("import"));
    // What it says in refusing is its own.
    assert!(!refused.is_empty());
    words.map(str::to_owned).collect()
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
    for host in [ours, other] {
        host.answer_with(|_| Ok(Response::new(200).body("called")));
    }
    for config in [
        "{}",
        r#"{"respond": "rewrite"}"#,
        r#"{"respond": "access"}"#,
        r#"{"wait": "sleep"}"#,
        r#"{"wait": "wake"}"#,
        r#"{"wait": "callout"}"#,
        r#"{"wait": "blocking"}"#,
        r#"{"wait": "never"}"#,
    ] {
        let (expected, found) = (trace(ours, config), trace(other, config));
        let differs: Vec<_> = expected
            .iter()
            .zip(&found)
            .filter(|(a, b)| a != b)
            .collect();
        assert!(differs.is_empty(), "{config}: {differs:#?}");
        assert_eq!(expected.len(), found.len(), "{config}");
        assert!(expected.len() > 250, "{}", expected.len());
    }
    let (expected, found) = (handed_over(ours), handed_over(other));
    assert_eq!(expected, found);
    assert_eq!(
        expected,
        ["R.import=0:all?it?knows", "R.import.version=0:3"]
    );
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
