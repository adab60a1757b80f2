//! The C header stands alone: as C and as C++, and for machines this one is not.

use std::path::Path;
use std::process::Command;

use crate::cargo;
use crate::failure::Outcome;

/// Machines with other sizes, alignments and byte orders than the usual one.
const TARGETS: [&str; 5] = [
    "x86_64-unknown-none-elf",
    "aarch64-unknown-none-elf",
    "riscv64-unknown-none-elf",
    "powerpc64-unknown-none-elf",
    "i686-unknown-none-elf",
];

const STRICT: [&str; 5] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"];

/// Compiles the header by itself in every way.
pub(crate) fn check() -> Outcome<()> {
    let header = cargo::root().join("sdk-c/include/swapgate.h");
    compile("cc", &["-std=c11", "-x", "c"], &header)?;
    compile("c++", &["-std=c++17", "-x", "c++"], &header)?;
    TARGETS.iter().try_for_each(|target| {
        compile(
            "clang",
            &["-std=c11", "-ffreestanding", "-target", target, "-x", "c"],
            &header,
        )
    })
}

fn compile(compiler: &str, arguments: &[&str], header: &Path) -> Outcome<()> {
    let name = format!("the header alone ({compiler} {})", arguments.join(" "));
    cargo::call(
        &name,
        Command::new(compiler)
            .args(STRICT)
            .args(arguments)
            .arg(header),
    )
}
