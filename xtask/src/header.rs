//! The headers stand alone: those of C as C and as C++, and for machines this one is not; that of C++ with and without
//! run-time type information.

use std::path::Path;
use std::process::Command;

use crate::cargo;
use crate::failure::Outcome;

/// Machines with other sizes, alignments and byte orders than the usual one.
const TARGETS: [&str; 6] = [
    "x86_64-unknown-none-elf",
    "aarch64-linux-gnu",
    "aarch64-unknown-none-elf",
    "riscv64-unknown-none-elf",
    "powerpc64-unknown-none-elf",
    "i686-unknown-none-elf",
];

const HEADERS: [&str; 2] = ["swapgate.h", "swapgate_version.h"];

const STRICT: [&str; 5] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"];

/// Compiles each header by itself in every way.
pub(crate) fn check() -> Outcome<()> {
    HEADERS
        .iter()
        .try_for_each(|header| check_one(&cargo::root().join("sdk-c/include").join(header)))?;
    let cpp = cargo::root().join("sdk-c/include/swapgate.hpp");
    for compiler in ["c++", "clang++"] {
        compile(compiler, &["-std=c++17", "-x", "c++"], &cpp)?;
        compile(compiler, &["-std=c++17", "-fno-rtti", "-x", "c++"], &cpp)?;
    }
    Ok(())
}

fn check_one(header: &Path) -> Outcome<()> {
    compile("cc", &["-std=c11", "-x", "c"], header)?;
    compile("c++", &["-std=c++17", "-x", "c++"], header)?;
    TARGETS.iter().try_for_each(|target| {
        compile(
            "clang",
            &["-std=c11", "-ffreestanding", "-target", target, "-x", "c"],
            header,
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
            // Included rather than compiled, as in a plugin: an inline function need not be used then.
            .arg("-include")
            .arg(header)
            .arg("/dev/null"),
    )
}
