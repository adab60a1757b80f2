//! Reads ELF the way the system's loader does: by program headers and the dynamic section, never by section headers,
//! which can be stripped or can lie.

mod file;

use object::Endianness;
use object::elf::{self, FileHeader64, ProgramHeader64, Sym64};
use object::read::elf::{FileHeader, ProgramHeader, Sym};
use swapgate_abi::{DESCRIPTOR_SYMBOL, ENTRY_SYMBOL};

use file::File;

use super::unload::{Pin, Unload, suspicious};
use super::{Arch, Inspected, Libc, Os, Target, descriptor};
use crate::plugin::refusal::Reason;

type Header = FileHeader64<Endianness>;
type Segment = ProgramHeader64<Endianness>;
type Symbol = Sym64<Endianness>;

pub(super) fn inspect(bytes: &[u8], here: Target) -> Result<Inspected, Reason> {
    let header = header(bytes, here)?;
    let endian = Endianness::Little;
    let segments = header
        .program_headers(endian, bytes)
        .map_err(|error| malformed(&error))?;
    complete(bytes, header, segments)?;
    let file = File::read(bytes, segments)?;
    file.is_shared_library(header)?;
    file.libc(here)?;
    let address = file.exported(DESCRIPTOR_SYMBOL);
    let Some((address, size)) = address else {
        return Err(Reason::NoDescriptor {
            symbol: DESCRIPTOR_SYMBOL.to_owned(),
        });
    };
    let raw = file.descriptor_bytes(address, size)?;
    let descriptor = descriptor(raw, file.exported(ENTRY_SYMBOL).is_some())?;
    Ok(Inspected {
        descriptor,
        rust_door: file
            .exported(abi_stable::library::ROOT_MODULE_LOADER_NAME)
            .is_some(),
        unload: file.unload(here),
    })
}

fn malformed(error: &dyn std::fmt::Display) -> Reason {
    Reason::Malformed {
        what: error.to_string(),
    }
}

/// Checks what the first bytes say: class, byte order, system, processor.
fn header(bytes: &[u8], here: Target) -> Result<&Header, Reason> {
    let other = |found: String| Reason::OtherMachine {
        found,
        here: here.to_string(),
    };
    let truncated = || Reason::Truncated {
        bytes: bytes.len() as u64,
        needed: size_of::<Header>() as u64,
    };
    let [_, _, _, _, class, order, _, abi, ..] = *bytes else {
        return Err(truncated());
    };
    if class == elf::ELFCLASS32.0 {
        return Err(other("a 32-bit system".to_owned()));
    }
    if order == elf::ELFDATA2MSB.0 {
        return Err(other("a big-endian processor".to_owned()));
    }
    if here.os != Os::Linux {
        return Err(other("Linux or another ELF system".to_owned()));
    }
    if abi != elf::ELFOSABI_NONE.0 && abi != elf::ELFOSABI_GNU.0 {
        return Err(other(system(abi)));
    }
    if bytes.len() < size_of::<Header>() {
        return Err(truncated());
    }
    let header = Header::parse(bytes).map_err(|error| malformed(&error))?;
    let machine = header.e_machine(Endianness::Little);
    let ours = match here.arch {
        Arch::X86_64 => elf::EM_X86_64,
        Arch::Aarch64 => elf::EM_AARCH64,
    };
    if machine != ours {
        return Err(other(processor(machine.0)));
    }
    Ok(header)
}

fn system(abi: u8) -> String {
    match abi {
        2 => "NetBSD".to_owned(),
        6 => "Solaris".to_owned(),
        9 => "FreeBSD".to_owned(),
        12 => "OpenBSD".to_owned(),
        other => format!("another system (ELF OSABI {other})"),
    }
}

fn processor(machine: u16) -> String {
    match machine {
        3 => "x86".to_owned(),
        21 => "POWER".to_owned(),
        22 => "s390x".to_owned(),
        40 => "Arm (32 bits)".to_owned(),
        62 => "x86-64".to_owned(),
        183 => "AArch64".to_owned(),
        243 => "RISC-V".to_owned(),
        258 => "LoongArch".to_owned(),
        other => format!("another processor (ELF machine {other})"),
    }
}

/// A mapped page that the file no longer covers is a SIGBUS, so everything the headers describe must be there.
fn complete(bytes: &[u8], header: &Header, segments: &[Segment]) -> Result<(), Reason> {
    let endian = Endianness::Little;
    let sections = u64::from(header.e_shnum(endian)) * u64::from(header.e_shentsize(endian));
    let section_end = header.e_shoff(endian).saturating_add(sections);
    let needed = segments
        .iter()
        .filter(|segment| segment.p_type(endian) != elf::PT_NULL)
        .map(|segment| {
            segment
                .p_offset(endian)
                .saturating_add(segment.p_filesz(endian))
        })
        .fold(section_end, u64::max);
    let there = bytes.len() as u64;
    if needed > there {
        return Err(Reason::Truncated {
            bytes: there,
            needed,
        });
    }
    Ok(())
}

impl<'a> File<'a> {
    fn is_shared_library(&self, header: &Header) -> Result<(), Reason> {
        let kind = header.e_type(Endianness::Little);
        let flags = self.value(elf::DT_FLAGS_1).unwrap_or(0);
        let found = if kind == elf::ET_REL {
            "an object file"
        } else if kind == elf::ET_CORE {
            "a core dump"
        } else if kind == elf::ET_EXEC || flags & elf::DF_1_PIE.0 != 0 {
            "an executable"
        } else if kind != elf::ET_DYN {
            "an ELF file of an unknown kind"
        } else if self.dynamic.is_empty() {
            "a file without a dynamic section"
        } else {
            return Ok(());
        };
        Err(Reason::NotShared {
            found: found.to_owned(),
        })
    }

    fn needed(&self) -> impl Iterator<Item = &'a str> {
        self.entries()
            .filter(|(tag, _)| *tag == elf::DT_NEEDED)
            .map(|(_, name)| self.name(name).unwrap_or("?"))
    }

    /// Two C libraries in one process are two heaps and two sets of threads.
    fn libc(&self, here: Target) -> Result<(), Reason> {
        let found = self.needed().find_map(|library| {
            if library.starts_with("libc.musl")
                || library.starts_with("ld-musl")
                || library == "libc.so"
            {
                Some(Libc::Musl)
            } else if library == "libc.so.6" || library.starts_with("ld-linux") {
                Some(Libc::Gnu)
            } else {
                None
            }
        });
        let name = |libc| match libc {
            Libc::Gnu => "the GNU C library",
            Libc::Musl => "musl",
            Libc::System => "the system's C library",
        };
        match found {
            Some(found) if found != here.libc => Err(Reason::OtherLibc {
                found: name(found).to_owned(),
                here: name(here.libc).to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn descriptor_bytes(&self, address: u64, size: u64) -> Result<&'a [u8], Reason> {
        const SIZE: u64 = size_of::<swapgate_abi::SgDescriptor>() as u64;
        let bad = |what: &str| Reason::BadDescriptor {
            what: what.to_owned(),
        };
        if size < SIZE {
            return Err(bad(&format!("it has {size} bytes instead of {SIZE}")));
        }
        let bytes = self
            .from(address)
            .ok_or_else(|| bad("it lies in memory that the file does not fill"))?;
        if (bytes.len() as u64) < SIZE {
            return Err(bad("the file ends within it"));
        }
        let range = address..address.saturating_add(SIZE);
        if self.relocated().any(|place| range.contains(&place)) {
            return Err(bad("it holds addresses, known only once it is loaded"));
        }
        Ok(bytes)
    }

    fn unload(&self, here: Target) -> Unload {
        let endian = Endianness::Little;
        let mut pins = Vec::new();
        if here.libc != Libc::Gnu {
            pins.push(Pin::System);
        }
        if self
            .segments
            .iter()
            .any(|segment| segment.p_type(endian) == elf::PT_TLS)
        {
            pins.push(Pin::ThreadLocals);
        }
        let flags = self.value(elf::DT_FLAGS_1).unwrap_or(0);
        if flags & elf::DF_1_NODELETE.0 != 0 {
            pins.push(Pin::NoDelete);
        }
        if self
            .symbols
            .iter()
            .any(|symbol| symbol.st_bind() == elf::STB_GNU_UNIQUE)
        {
            pins.push(Pin::UniqueSymbols);
        }
        let imports = suspicious(
            self.symbols
                .iter()
                .skip(1)
                .filter(|symbol| symbol.is_undefined(endian))
                .map(|symbol| self.name(symbol.st_name(endian).into()).unwrap_or("?")),
        );
        if !imports.is_empty() {
            pins.push(Pin::Imports(imports));
        }
        let libraries: Vec<String> = self
            .needed()
            .filter(|library| !matches!(*library, "libc.so.6" | "libm.so.6"))
            .map(str::to_owned)
            .collect();
        if !libraries.is_empty() {
            pins.push(Pin::Libraries(libraries));
        }
        Unload::from_pins(pins)
    }
}
