//! Reads Mach-O. Covered by fixtures only: running on macOS is documented as untested.

use object::Endianness;
use object::macho;
use object::read::macho::{MachHeader, MachOFile64};
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol};
use swapgate_abi::{DESCRIPTOR_SYMBOL, ENTRY_SYMBOL};

use super::unload::{Pin, Unload};
use super::{Arch, Inspected, Os, Target, descriptor};
use crate::plugin::refusal::Reason;

pub(super) fn inspect(bytes: &[u8], here: Target) -> Result<Inspected, Reason> {
    let malformed = |error: object::read::Error| Reason::Malformed {
        what: error.to_string(),
    };
    let file = MachOFile64::<Endianness>::parse(bytes).map_err(malformed)?;
    let endian = file.endian();
    let header = file.macho_header();
    let found = match file.architecture() {
        object::Architecture::X86_64 => "macOS on x86-64",
        object::Architecture::Aarch64 => "macOS on AArch64",
        _ => "macOS on another processor",
    };
    let ours = match here.arch {
        Arch::X86_64 => object::Architecture::X86_64,
        Arch::Aarch64 => object::Architecture::Aarch64,
    };
    if here.os != Os::MacOs || file.architecture() != ours {
        return Err(Reason::OtherMachine {
            found: found.to_owned(),
            here: here.to_string(),
        });
    }
    let kind = header.filetype(endian);
    if kind != macho::MH_DYLIB && kind != macho::MH_BUNDLE {
        return Err(Reason::NotShared {
            found: "a Mach-O file of another kind".to_owned(),
        });
    }
    complete(bytes, &file)?;
    let address = exported(&file, DESCRIPTOR_SYMBOL).ok_or_else(|| Reason::NoDescriptor {
        symbol: DESCRIPTOR_SYMBOL.to_owned(),
    })?;
    let raw = bytes_at(&file, address).ok_or_else(|| Reason::BadDescriptor {
        what: "it lies in memory that the file does not fill".to_owned(),
    })?;
    Ok(Inspected {
        descriptor: descriptor(raw, exported(&file, ENTRY_SYMBOL).is_some())?,
        rust_door: exported(&file, abi_stable::library::ROOT_MODULE_LOADER_NAME).is_some(),
        // dlclose on macOS is advisory, so an image is never proven to be gone.
        unload: Unload::from_pins(vec![Pin::System]),
    })
}

fn complete(bytes: &[u8], file: &MachOFile64<'_, Endianness>) -> Result<(), Reason> {
    let needed = file
        .segments()
        .map(|segment| {
            let (start, size) = segment.file_range();
            start.saturating_add(size)
        })
        .max()
        .unwrap_or(0);
    if needed > bytes.len() as u64 {
        return Err(Reason::Truncated {
            bytes: bytes.len() as u64,
            needed,
        });
    }
    Ok(())
}

/// Names carry a leading underscore on this system.
fn exported(file: &MachOFile64<'_, Endianness>, name: &str) -> Option<u64> {
    file.symbols()
        .filter(|symbol| symbol.is_definition() && symbol.is_global())
        .find(|symbol| {
            symbol
                .name()
                .is_ok_and(|found| found.strip_prefix('_') == Some(name))
        })
        .map(|symbol| symbol.address())
}

fn bytes_at<'a>(file: &MachOFile64<'a, Endianness>, address: u64) -> Option<&'a [u8]> {
    file.sections().find_map(|section| {
        let within = address.checked_sub(section.address())?;
        let data = section.data().ok()?;
        data.get(usize::try_from(within).ok()?..)
            .filter(|bytes| !bytes.is_empty())
    })
}
