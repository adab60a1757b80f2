//! Files that fit, and files that do not, as their bytes say.

mod macho;

use std::fs;

use super::*;
use crate::plugin::testing::{PLUGIN, build, plugin};

fn bytes(flags: &[&str]) -> Vec<u8> {
    source(PLUGIN, flags)
}

fn source(source: &str, flags: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    fs::read(build(folder.path(), "demo.so", source, flags)).expect("the library")
}

#[track_caller]
fn refused(bytes: &[u8], expected: &str) {
    let reason = inspect(bytes, Target::HERE).expect_err("is refused");
    assert_eq!(reason.to_string(), expected);
}

#[track_caller]
fn pins(flags: &[&str], code: &str) -> Vec<Pin> {
    match inspect(&source(code, flags), Target::HERE)
        .expect("fits")
        .unload
    {
        Unload::Allowed => Vec::new(),
        Unload::Resident(pins) => pins,
    }
}

#[test]
fn a_plain_plugin_fits_and_can_be_unmapped() {
    let found = inspect(&bytes(&[]), Target::HERE).expect("fits");
    assert_eq!(found.descriptor.id, "demo");
    assert_eq!(found.descriptor.version, Version::new(1, 2, 3));
    assert_eq!(found.descriptor.sdk, "c 0.1.0");
    assert!(!found.rust_door);
    assert_eq!(found.unload, Unload::Allowed);
}

#[test]
fn section_headers_are_not_needed() {
    let mut library = bytes(&["-s"]);
    library[40..48].fill(0); // e_shoff
    library[58..64].fill(0); // e_shentsize, e_shnum, e_shstrndx
    assert!(inspect(&library, Target::HERE).is_ok());
}

#[test]
fn the_old_hash_table_and_packed_relocations_are_read() {
    assert!(inspect(&bytes(&["-Wl,--hash-style=sysv"]), Target::HERE).is_ok());
    assert!(inspect(&bytes(&["-Wl,-z,pack-relative-relocs"]), Target::HERE).is_ok());
}

#[test]
fn files_that_are_no_libraries() {
    const HINT: &str = "put the built plugin there (the .so that cargo or the Makefile made)";
    refused(b"", "it is empty; copy the built plugin there again");
    refused(
        b"hello, world\n",
        &format!("it is a text file, not a shared library; {HINT}"),
    );
    refused(
        &[1, 2, 3, 0xff, 0xfe],
        &format!("it is a file of an unknown kind, not a shared library; {HINT}"),
    );
    refused(
        b"MZ\x90\0",
        &format!("it is a Windows file, not a shared library; {HINT}"),
    );
    refused(
        b"!<arch>\n",
        &format!("it is a static archive, not a shared library; {HINT}"),
    );
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    let library = bytes(&[]);
    let half = &library[..library.len() / 2];
    refused(
        half,
        &format!(
            "it is cut off: it has {} bytes, but its headers describe {}; copy the built plugin there again",
            half.len(),
            library.len()
        ),
    );
    for end in 0..library.len() {
        assert!(
            inspect(&library[..end], Target::HERE).is_err(),
            "cut at {end}"
        );
    }
}

#[test]
fn other_machines() {
    let with = |at: usize, value: u8| {
        let mut library = bytes(&[]);
        library[at] = value;
        library
    };
    let sentence = |found: &str| {
        let here = Target::HERE;
        format!(
            "it is built for {found}, but this gateway runs on {here}; build the plugin for {here}"
        )
    };
    refused(&with(4, 1), &sentence("a 32-bit system"));
    refused(&with(5, 2), &sentence("a big-endian processor"));
    refused(&with(7, 9), &sentence("FreeBSD"));
    refused(&with(18, 243), &sentence("RISC-V"));
    refused(
        &with(18, 77),
        &sentence("another processor (ELF machine 77)"),
    );
}

#[test]
fn not_a_shared_library() {
    let folder = tempfile::tempdir().expect("a folder");
    let code = "int main(void) { return 0; }";
    let sentence = |found: &str| {
        format!(
            "it is {found}, not a shared library; build the plugin as one (crate-type cdylib, or cc -shared)"
        )
    };
    let read = |path| fs::read(path).expect("the file");
    let program = read(build(
        folder.path(),
        "a",
        code,
        &["-no-pie", "-fPIE", "-pie"],
    ));
    let _ = inspect(&program, Target::HERE).expect_err("is refused");
    let object = read(build(
        folder.path(),
        "b",
        code,
        &["-no-pie", "-r", "-nostdlib"],
    ));
    refused(&object, &sentence("an object file"));
    let mut executable = bytes(&[]);
    executable[16] = 2; // e_type: ET_EXEC
    refused(&executable, &sentence("an executable"));
}

#[test]
fn no_plugin_or_a_broken_descriptor() {
    refused(
        &bytes(&["-DNO_DESCRIPTOR"]),
        "it is a shared library but no Swapgate plugin: it does not export sg_plugin_abi; build it with the SDK, or \
         export that symbol",
    );
    refused(
        &bytes(&["-DNO_ENTRY"]),
        "it does not export the function sg_plugin_entry; export it with default visibility",
    );
    let broken = |code: &str, what: &str| {
        refused(
            &source(code, &[]),
            &format!(
                "its descriptor sg_plugin_abi cannot be read from the file: {what}; make it a constant with inline bytes \
                 only"
            ),
        );
    };
    const SHOWN: &str = "__attribute__((visibility(\"default\")))";
    broken(
        &format!("{SHOWN} char sg_plugin_abi[256];"),
        "it lies in memory that the file does not fill",
    );
    broken(
        &format!("{SHOWN} char sg_plugin_abi[16] = \"SWAPGATE\";"),
        "it has 16 bytes instead of 256",
    );
    broken(
        &format!("{SHOWN} const char sg_plugin_abi[256] = \"SWAPGOAT\";"),
        "it does not begin with SWAPGATE",
    );
    broken(
        &format!("extern int x; int x; {SHOWN} void *sg_plugin_abi[32] = {{0, &x}};"),
        "it holds addresses, known only once it is loaded",
    );
}

#[test]
fn versions_and_promises() {
    let needs = |what: &str| {
        format!(
            "plugin demo 1.2.3 needs plugin contract {what}, this gateway (swapgate 0.1.0) offers 0.4; run a gateway \
             that offers {what}, or build the plugin for 0.4"
        )
    };
    refused(&bytes(&["-DMAJOR=1"]), &needs("1.4"));
    refused(&bytes(&["-DMINOR=5"]), &needs("0.5"));
    refused(
        &bytes(&["-DMINOR=0"]),
        "plugin demo 1.2.3 needs plugin contract 0.0, this gateway (swapgate 0.1.0) offers 0.4; build the plugin for 0.4",
    );
    refused(
        &bytes(&["-DDESC_FLAGS=1"]),
        "plugin demo 1.2.3 is built with panic=abort, so that one panic would end the gateway; build it with panic = \
         \"unwind\"",
    );
    refused(
        &bytes(&["-DID=\"De mo\""]),
        "its id \"De mo\" is malformed; use 1 to 63 characters of a-z, 0-9 and -",
    );
    refused(
        &bytes(&["-DVERSION=\"one\""]),
        "its version \"one\" is not a semantic version; use one such as 1.2.3",
    );
}

#[test]
fn what_pins_an_image() {
    let with = |extra: &str| format!("{extra}\n{PLUGIN}");
    assert_eq!(
        pins(
            &[],
            &with("__thread int shared; int *where(void); int *where(void) { return &shared; }")
        )
        .first(),
        Some(&Pin::ThreadLocals)
    );
    assert_eq!(pins(&["-Wl,-z,nodelete"], PLUGIN), [Pin::NoDelete]);
    assert_eq!(
        pins(
            &[],
            &with(
                "#include <pthread.h>\n__attribute__((constructor)) static void c(void) { pthread_key_t k; pthread_key_create(&k, 0); }"
            )
        ),
        [Pin::Imports(vec!["pthread_key_create".to_owned()])]
    );
    assert_eq!(
        pins(&["-Wl,--no-as-needed", "-lgcc_s"], PLUGIN),
        [Pin::Libraries(vec!["libgcc_s.so.1".to_owned()])]
    );
}

#[test]
fn the_other_libc_is_refused() {
    // A library of the name musl has, made here: what counts is what the plugin asks for.
    let folder = tempfile::tempdir().expect("a folder");
    build(
        folder.path(),
        "libc.musl-x86_64.so.1",
        "int x;",
        &["-Wl,-soname,libc.musl-x86_64.so.1"],
    );
    let musl = folder
        .path()
        .join("libc.musl-x86_64.so.1")
        .display()
        .to_string();
    let library = plugin(
        folder.path(),
        "demo.so",
        &["-nostdlib", "-Wl,--no-as-needed", &musl],
    );
    refused(
        &fs::read(library).expect("the library"),
        "it is built for musl, but this gateway uses the GNU C library; build the plugin for the GNU C library",
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(512))]
    /// Whatever stands in the file: an answer, never a panic.
    #[test]
    fn no_bytes_make_it_panic(changes in proptest::collection::vec((0_usize..20_000, proptest::prelude::any::<u8>()), 1..12), header in proptest::bool::ANY) {
        static LIBRARY: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| bytes(&[]));
        let mut library = LIBRARY.clone();
        let limit = if header { 1024 } else { library.len() };
        for (at, value) in changes {
            library[at % limit] = value;
        }
        let _ = inspect(&library, Target::HERE);
        let mac = Target { os: Os::MacOs, ..Target::HERE };
        library[..4].copy_from_slice(&[0xcf, 0xfa, 0xed, 0xfe]);
        let _ = inspect(&library, mac);
    }
}
