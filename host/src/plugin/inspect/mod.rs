//! Reads a plugin file without running any of its code.
//!
//! Pure: bytes in, facts or a [`Reason`] out. Every read is bounded by the bytes that are there, so a damaged or
//! hostile file can be refused but can do no harm; a property test mutates a real library to hold that.

mod descriptor;
mod elf;
mod macho;
mod unload;

use std::fmt;

use semver::Version;
use serde::Serialize;

pub(crate) use descriptor::descriptor;
pub use descriptor::is_id;

use crate::plugin::refusal::Reason;

pub use unload::{Pin, Unload};

/// What is known about a plugin before any of its code has run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// What the plugin says of itself.
    pub descriptor: Descriptor,
    /// Whether it exports the header of `abi_stable`, too.
    pub rust_door: bool,
    /// Whether the file proves that the image can be unmapped.
    pub unload: Unload,
}

/// The descriptor, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Descriptor {
    /// Id of the plugin.
    pub id: String,
    /// Its version.
    pub version: Version,
    /// Major version of the contract.
    pub abi_major: u32,
    /// Oldest minor of the gateway it runs on.
    pub abi_min_minor: u32,
    /// Newest minor it knows.
    pub abi_max_minor: u32,
    /// What it was written with.
    pub sdk: String,
    /// What it was built with.
    pub toolchain: String,
}

/// What a library is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The operating system.
    pub os: Os,
    /// The processor.
    pub arch: Arch,
    /// The C library.
    pub libc: Libc,
}

impl Target {
    /// What this gateway is built for.
    pub const HERE: Self = Self {
        os: if cfg!(target_os = "macos") {
            Os::MacOs
        } else {
            Os::Linux
        },
        arch: if cfg!(target_arch = "aarch64") {
            Arch::Aarch64
        } else {
            Arch::X86_64
        },
        libc: if cfg!(target_os = "macos") {
            Libc::System
        } else if cfg!(target_env = "musl") {
            Libc::Musl
        } else {
            Libc::Gnu
        },
    };
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let os = match self.os {
            Os::Linux => "Linux",
            Os::MacOs => "macOS",
        };
        let arch = match self.arch {
            Arch::X86_64 => "x86-64",
            Arch::Aarch64 => "AArch64",
        };
        write!(f, "{os} on {arch}")
    }
}

/// Operating systems the gateway runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Os {
    /// Linux.
    Linux,
    /// macOS; documented as untested.
    MacOs,
}

/// Processors the gateway runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// x86-64.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

/// C libraries the gateway runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Libc {
    /// The GNU C library.
    Gnu,
    /// musl.
    Musl,
    /// The system's only one.
    System,
}

/// Reads a plugin file for a gateway built for `here`.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn inspect(bytes: &[u8], here: Target) -> Result<Inspected, Reason> {
    if bytes.is_empty() {
        return Err(Reason::Empty);
    }
    match Kind::of(bytes) {
        Kind::Elf => elf::inspect(bytes, here),
        Kind::MachO => macho::inspect(bytes, here),
        Kind::Other(looks, hint) => Err(Reason::NotALibrary {
            looks: looks.to_owned(),
            hint: hint.to_owned(),
        }),
    }
}

enum Kind {
    Elf,
    MachO,
    Other(&'static str, &'static str),
}

impl Kind {
    fn of(bytes: &[u8]) -> Self {
        const BUILT: &str = "the .so that cargo or the Makefile made";
        match bytes {
            [0x7f, b'E', b'L', b'F', ..] => Self::Elf,
            [0xcf, 0xfa, 0xed, 0xfe, ..] => Self::MachO,
            [0xca, 0xfe, 0xba, 0xbe, ..] => Self::Other(
                "a universal file for several processors",
                "extract the part for this one with lipo -thin",
            ),
            [b'M', b'Z', ..] => Self::Other("a Windows file", BUILT),
            [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => {
                Self::Other("a static archive", BUILT)
            }
            _ if is_text(bytes) => Self::Other("a text file", BUILT),
            _ => Self::Other("a file of an unknown kind", BUILT),
        }
    }
}

fn is_text(bytes: &[u8]) -> bool {
    let start = bytes.get(..4096).unwrap_or(bytes);
    let readable = match std::str::from_utf8(start) {
        Ok(_) => true,
        // A character cut by the end of the sample is no sign of a binary.
        Err(error) => error.error_len().is_none(),
    };
    readable && !start.iter().any(|byte| *byte < 7)
}

#[cfg(test)]
mod tests;
