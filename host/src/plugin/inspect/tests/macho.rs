//! Libraries for macOS, built byte by byte.

use super::*;

/// The smallest Mach-O library with a descriptor: header, one segment with one section, symbols.
fn macho(processor: u32, kind: u32, names: &[&str]) -> Vec<u8> {
    let words = |words: &[u32]| {
        words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let name = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(16, 0);
        bytes
    };
    let long = |value: u64| value.to_le_bytes().to_vec();
    let (text_at, size) = (32 + 152 + 24_u32, 256_u32);
    let symbols_at = text_at + size;
    let count = u32::try_from(names.len()).expect("few");
    let strings_at = symbols_at + 16 * count;
    let mut strings = vec![0_u8];
    let mut symbols = Vec::new();
    for symbol in names {
        symbols.extend(words(&[u32::try_from(strings.len()).expect("few")]));
        symbols.extend([0x0f, 1, 0, 0]); // N_SECT | N_EXT, first section
        symbols.extend(long(text_at.into()));
        strings.extend(symbol.bytes().chain([0]));
    }
    let end = strings_at + u32::try_from(strings.len()).expect("few");
    let mut descriptor = b"SWAPGATE".to_vec();
    descriptor.extend(words(&[
        256,
        0,
        swapgate_abi::ABI_MINOR,
        swapgate_abi::ABI_MINOR,
        0,
        0,
    ]));
    for (text, length) in [("c 0.1.0", 32), ("clang", 64), ("demo", 64), ("1.2.3", 64)] {
        let before = descriptor.len();
        descriptor.extend(text.bytes());
        descriptor.resize(before + length, 0);
    }
    [
        words(&[0xfeed_facf, processor, 0, kind, 2, 152 + 24, 0, 0]),
        words(&[0x19, 152]),
        name("__TEXT"),
        [0, u64::from(end), 0, u64::from(end)]
            .into_iter()
            .flat_map(long)
            .collect(),
        words(&[5, 5, 1, 0]),
        name("__const"),
        name("__TEXT"),
        long(text_at.into()),
        long(size.into()),
        words(&[text_at, 4, 0, 0, 0, 0, 0, 0]),
        words(&[0x2, 24, symbols_at, count, strings_at, end - strings_at]),
        descriptor,
        symbols,
        strings,
    ]
    .concat()
}

#[test]
fn libraries_for_macos() {
    const ARM: u32 = 0x0100_000c;
    let mac = Target {
        os: Os::MacOs,
        arch: Arch::Aarch64,
        libc: Libc::System,
    };
    let both = ["_sg_plugin_abi", "_sg_plugin_entry"];
    let found = inspect(&macho(ARM, 6, &both), mac).expect("fits");
    assert_eq!(found.descriptor.id, "demo");
    assert_eq!(found.unload, Unload::Resident(vec![Pin::System]));
    let text = |bytes: &[u8], here| inspect(bytes, here).expect_err("is refused").to_string();
    assert_eq!(
        text(&macho(ARM, 6, &both), Target::HERE),
        format!(
            "it is built for macOS on AArch64, but this gateway runs on {0}; build the plugin for {0}",
            Target::HERE
        )
    );
    assert_eq!(
        text(&macho(0x0100_0007, 6, &both), mac),
        "it is built for macOS on x86-64, but this gateway runs on macOS on AArch64; build the plugin for macOS on AArch64"
    );
    assert!(
        text(&macho(ARM, 2, &both), mac)
            .starts_with("it is a Mach-O file of another kind, not a shared library")
    );
    assert!(
        text(&macho(ARM, 6, &both[..1]), mac)
            .starts_with("it does not export the function sg_plugin_entry")
    );
    assert!(text(&macho(ARM, 6, &both[1..]), mac).contains("it does not export sg_plugin_abi"));
    assert!(text(&bytes(&[]), mac).contains("this gateway runs on macOS on AArch64"));
    let whole = macho(ARM, 6, &both);
    for end in 4..whole.len() {
        assert!(inspect(&whole[..end], mac).is_err(), "cut at {end}");
    }
}
