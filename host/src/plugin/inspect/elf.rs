//! Reads ELF the way the system's loader does: by program headers and the dynamic section, never by section headers,
//! which can be stripped or can lie.

use object::Endianness;
use object::elf::{self, Dyn64, FileHeader64, ProgramHeader64, Rel64, Rela64, Relr64, Sym64};
use object::read::elf::{Dyn, FileHeader, GnuHashTable, HashTable, ProgramHeader, Sym};
use swapgate_abi::{DESCRIPTOR_SYMBOL, ENTRY_SYMBOL};

use super::unload::{Pin, Unload, suspicious};
use super::{Arch, Inspected, Libc, Os, Target, descriptor};
use crate::plugin::refusal::Reason;

type Header = FileHeader64<Endianness>;
type Segment = ProgramHeader64<Endianness>;
type Symbol = Sym64<Endianness>;

/// Longest symbol name that is read; a longer one is none of ours.
const NAME_LIMIT: usize = 4096;

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

/// The parts of a file that the system's loader would look at.
struct File<'a> {
    bytes: &'a [u8],
    segments: &'a [Segment],
    dynamic: &'a [Dyn64<Endianness>],
    names: &'a [u8],
    symbols: &'a [Symbol],
}

impl<'a> File<'a> {
    fn read(bytes: &'a [u8], segments: &'a [Segment]) -> Result<Self, Reason> {
        let mut dynamic: &[Dyn64<Endianness>] = &[];
        for segment in segments {
            let found = segment
                .dynamic(Endianness::Little, bytes)
                .map_err(|error| malformed(&error))?;
            dynamic = found.unwrap_or(dynamic);
        }
        let mut file = Self {
            bytes,
            segments,
            dynamic,
            names: &[],
            symbols: &[],
        };
        file.names = file.names();
        file.symbols = file.symbols()?;
        Ok(file)
    }

    fn names(&self) -> &'a [u8] {
        let size = usize::try_from(self.value(elf::DT_STRSZ).unwrap_or(0)).unwrap_or(0);
        let names = self.value(elf::DT_STRTAB).and_then(|at| self.from(at));
        names.and_then(|names| names.get(..size)).unwrap_or(&[])
    }

    fn symbols(&self) -> Result<&'a [Symbol], Reason> {
        let endian = Endianness::Little;
        let Some(table) = self.value(elf::DT_SYMTAB).and_then(|at| self.from(at)) else {
            return Ok(&[]);
        };
        let gnu = self.value(elf::DT_GNU_HASH).and_then(|at| self.from(at));
        let old = self.value(elf::DT_HASH).and_then(|at| self.from(at));
        let count = if let Some(old) = old {
            HashTable::<Header>::parse(endian, old)
                .map_err(|error| malformed(&error))?
                .symbol_table_length()
        } else if let Some(gnu) = gnu {
            let hash =
                GnuHashTable::<Header>::parse(endian, gnu).map_err(|error| malformed(&error))?;
            hash.symbol_table_length(endian)
                .unwrap_or_else(|| hash.symbol_base())
        } else {
            0
        };
        object::pod::slice_from_bytes::<Symbol>(table, count as usize)
            .map(|(symbols, _)| symbols)
            .map_err(|()| malformed(&"its symbol table ends outside its segment"))
    }

    /// The entries of the dynamic section, up to its end mark.
    fn entries(&self) -> impl Iterator<Item = (elf::DynamicTag, u64)> {
        self.dynamic
            .iter()
            .map(|entry| (entry.tag(Endianness::Little), entry.val(Endianness::Little)))
            .take_while(|(tag, _)| *tag != elf::DT_NULL)
    }

    fn value(&self, tag: elf::DynamicTag) -> Option<u64> {
        self.entries()
            .find(|(found, _)| *found == tag)
            .map(|(_, value)| value)
    }

    /// The bytes of the file that will stand at `address`, up to the end of their segment.
    fn from(&self, address: u64) -> Option<&'a [u8]> {
        let endian = Endianness::Little;
        self.segments
            .iter()
            .filter(|segment| segment.p_type(endian) == elf::PT_LOAD)
            .find_map(|segment| {
                let within = address.checked_sub(segment.p_vaddr(endian))?;
                let left = segment.p_filesz(endian).checked_sub(within)?;
                let start = segment.p_offset(endian).checked_add(within)?;
                let end = start.checked_add(left)?;
                let range = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
                self.bytes.get(range).filter(|bytes| !bytes.is_empty())
            })
    }

    fn name(&self, offset: u64) -> Option<&'a str> {
        let rest = self.names.get(usize::try_from(offset).ok()?..)?;
        let rest = rest.get(..NAME_LIMIT).unwrap_or(rest);
        let end = rest.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(rest.get(..end)?).ok()
    }

    /// Address and size of a symbol this file defines and shows.
    fn exported(&self, name: &str) -> Option<(u64, u64)> {
        let endian = Endianness::Little;
        self.symbols
            .iter()
            .filter(|symbol| !symbol.is_undefined(endian) && !symbol.is_local())
            .find(|symbol| self.name(symbol.st_name(endian).into()) == Some(name))
            .map(|symbol| (symbol.st_value(endian), symbol.st_size(endian)))
    }

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

    /// Every address the system's loader would write to.
    fn relocated(&self) -> impl Iterator<Item = u64> {
        let endian = Endianness::Little;
        let with_addend = self
            .table::<Rela64<Endianness>>(elf::DT_RELA, elf::DT_RELASZ)
            .iter()
            .chain(self.table(elf::DT_JMPREL, elf::DT_PLTRELSZ))
            .map(move |entry| entry.r_offset.get(endian));
        let without = self
            .table::<Rel64<Endianness>>(elf::DT_REL, elf::DT_RELSZ)
            .iter()
            .map(move |entry| entry.r_offset.get(endian));
        let packed = self.table::<Relr64<Endianness>>(elf::DT_RELR, elf::DT_RELRSZ);
        with_addend.chain(without).chain(unpack(packed))
    }

    fn table<T: object::pod::Pod>(&self, at: elf::DynamicTag, size: elf::DynamicTag) -> &'a [T] {
        let bytes = self.value(at).and_then(|at| self.from(at));
        let size = self.value(size).and_then(|size| usize::try_from(size).ok());
        let (Some(bytes), Some(size)) = (bytes, size) else {
            return &[];
        };
        let count = size.min(bytes.len()) / size_of::<T>();
        object::pod::slice_from_bytes(bytes, count).map_or(&[], |(table, _)| table)
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

/// Packed relative relocations: an even word is an address, an odd one a bitmap of the 63 words after it.
fn unpack(packed: &[Relr64<Endianness>]) -> impl Iterator<Item = u64> {
    let mut next = 0_u64;
    packed.iter().flat_map(move |word| {
        let word = word.0.get(Endianness::Little);
        let (base, bits) = if word & 1 == 0 {
            next = word.wrapping_add(8);
            (word, 1)
        } else {
            let base = next;
            next = next.wrapping_add(63 * 8);
            (base, word >> 1)
        };
        (0..63_u64)
            .filter(move |bit| bits >> bit & 1 == 1)
            .map(move |bit| base.wrapping_add(bit * 8))
    })
}
