//! Plugin files, read without running them.

use swapgate::plugin::inspect::{Arch, Inspected, Libc, Os, Target, inspect, is_id};
use swapgate::plugin::refusal::Reason;

/// A file for Linux.
pub fn elf(data: &[u8]) {
    for (arch, libc) in [
        (Arch::X86_64, Libc::Gnu),
        (Arch::X86_64, Libc::Musl),
        (Arch::Aarch64, Libc::Gnu),
    ] {
        let os = Os::Linux;
        judged(&inspect(data, Target { os, arch, libc }));
    }
}

/// A file for macOS.
pub fn macho(data: &[u8]) {
    for arch in [Arch::Aarch64, Arch::X86_64] {
        let here = Target {
            os: Os::MacOs,
            arch,
            libc: Libc::System,
        };
        judged(&inspect(data, here));
    }
}

/// Whatever a file says of itself stays one line in a log.
fn judged(found: &Result<Inspected, Reason>) {
    match found {
        Ok(found) => {
            let descriptor = &found.descriptor;
            assert!(is_id(&descriptor.id), "{:?}", descriptor.id);
            for text in [&descriptor.sdk, &descriptor.toolchain] {
                assert!(crate::is_one_line(text), "{text:?}");
            }
            let pins = format!("{:?}", found.unload);
            assert!(crate::is_one_line(&pins));
        }
        Err(reason) => {
            let sentence = reason.to_string();
            assert!(crate::is_one_line(&sentence), "{sentence:?}");
            assert!(sentence.len() < 4096, "{} bytes", sentence.len());
        }
    }
}
