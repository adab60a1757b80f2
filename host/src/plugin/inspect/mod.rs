//! Reads a plugin file without running any of its code.
//!
//! Pure: bytes in, facts or a [`Reason`] out. Every read is bounded by the bytes that are there, so a damaged or
//! hostile file can be refused but can do no harm; a property test mutates a real library to hold that.

mod elf;
mod macho;
mod unload;

use std::fmt;

use semver::Version;
use serde::Serialize;
use swapgate_abi::{ENTRY_SYMBOL, MAGIC, SG_DESC_PANIC_ABORT};
use swapgate_plugin::version::{self, Range};

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

/// Reads the bytes of `sg_plugin_abi` and decides whether gateway and plugin may talk.
pub(crate) fn descriptor(bytes: &[u8], has_entry: bool) -> Result<Descriptor, Reason> {
    let bad = |what: &str| Reason::BadDescriptor {
        what: what.to_owned(),
    };
    let mut reader = Reader(bytes);
    let short = || bad("it is shorter than 256 bytes");
    if reader.take(8).ok_or_else(short)? != MAGIC {
        return Err(bad("it does not begin with SWAPGATE"));
    }
    let struct_size = reader.u32().ok_or_else(short)?;
    let abi_major = reader.u32().ok_or_else(short)?;
    let abi_min_minor = reader.u32().ok_or_else(short)?;
    let abi_max_minor = reader.u32().ok_or_else(short)?;
    let flags = reader.u32().ok_or_else(short)?;
    reader.u32().ok_or_else(short)?;
    let sdk = text(reader.take(32).ok_or_else(short)?);
    let toolchain = text(reader.take(64).ok_or_else(short)?);
    let id = text(reader.take(64).ok_or_else(short)?);
    let version = text(reader.take(64).ok_or_else(short)?);
    if (struct_size as usize) < size_of::<swapgate_abi::SgDescriptor>() {
        return Err(bad("its struct_size is below 256"));
    }
    if !has_entry {
        return Err(Reason::NoEntry {
            symbol: ENTRY_SYMBOL.to_owned(),
        });
    }
    let plugin = || {
        format!(
            "{} {}",
            printable(id.as_deref()),
            printable(version.as_deref())
        )
    };
    let range = Range {
        major: abi_major,
        min_minor: abi_min_minor,
        max_minor: abi_max_minor,
    };
    version::negotiate(range, Range::CURRENT)
        .map_err(|mismatch| Reason::version(&plugin(), &mismatch))?;
    if flags & SG_DESC_PANIC_ABORT != 0 {
        return Err(Reason::PanicAbort { plugin: plugin() });
    }
    let id = id.filter(|id| is_id(id)).ok_or_else(|| Reason::BadId {
        found: printable(text_lossy(bytes, 128).as_deref()),
    })?;
    let version = version
        .as_deref()
        .and_then(|version| Version::parse(version).ok())
        .ok_or_else(|| Reason::BadVersion {
            found: printable(text_lossy(bytes, 192).as_deref()),
        })?;
    Ok(Descriptor {
        id,
        version,
        abi_major,
        abi_min_minor,
        abi_max_minor,
        sdk: printable(sdk.as_deref()),
        toolchain: printable(toolchain.as_deref()),
    })
}

/// Whether a plugin may be called that.
#[must_use]
pub fn is_id(id: &str) -> bool {
    (1..=63).contains(&id.len())
        && id
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// A text padded with zeros; none where no zero ends it or it is not UTF-8.
fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let text = std::str::from_utf8(bytes.get(..end)?).ok()?;
    Some(text.to_owned())
}

fn text_lossy(descriptor: &[u8], at: usize) -> Option<String> {
    let bytes = descriptor.get(at..at + 64)?;
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(64);
    Some(String::from_utf8_lossy(bytes.get(..end)?).into_owned())
}

/// What goes into a message: whatever a hostile file says must not confuse a terminal or a log.
fn printable(text: Option<&str>) -> String {
    text.unwrap_or("?")
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        let bytes: [u8; 4] = self.take(4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes))
    }
}

#[cfg(test)]
mod tests;
