//! The parts of an ELF file that the system's loader would look at, each read within bounds.

use object::Endianness;
use object::elf::{self, Dyn64, Rel64, Rela64, Relr64};
use object::read::elf::{Dyn, GnuHashTable, HashTable, ProgramHeader, Sym};

use super::{Header, Segment, Symbol, malformed};
use crate::plugin::refusal::Reason;

/// Longest symbol name that is read; a longer one is none of ours.
const NAME_LIMIT: usize = 4096;

/// The parts of a file that the system's loader would look at.
pub(super) struct File<'a> {
    bytes: &'a [u8],
    pub(super) segments: &'a [Segment],
    pub(super) dynamic: &'a [Dyn64<Endianness>],
    names: &'a [u8],
    pub(super) symbols: &'a [Symbol],
}

impl<'a> File<'a> {
    pub(super) fn read(bytes: &'a [u8], segments: &'a [Segment]) -> Result<Self, Reason> {
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
    pub(super) fn entries(&self) -> impl Iterator<Item = (elf::DynamicTag, u64)> {
        self.dynamic
            .iter()
            .map(|entry| (entry.tag(Endianness::Little), entry.val(Endianness::Little)))
            .take_while(|(tag, _)| *tag != elf::DT_NULL)
    }

    pub(super) fn value(&self, tag: elf::DynamicTag) -> Option<u64> {
        self.entries()
            .find(|(found, _)| *found == tag)
            .map(|(_, value)| value)
    }

    /// The bytes of the file that will stand at `address`, up to the end of their segment.
    pub(super) fn from(&self, address: u64) -> Option<&'a [u8]> {
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

    pub(super) fn name(&self, offset: u64) -> Option<&'a str> {
        let rest = self.names.get(usize::try_from(offset).ok()?..)?;
        let rest = rest.get(..NAME_LIMIT).unwrap_or(rest);
        let end = rest.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(rest.get(..end)?).ok()
    }

    /// Address and size of a symbol this file defines and shows.
    pub(super) fn exported(&self, name: &str) -> Option<(u64, u64)> {
        let endian = Endianness::Little;
        self.symbols
            .iter()
            .filter(|symbol| !symbol.is_undefined(endian) && !symbol.is_local())
            .find(|symbol| self.name(symbol.st_name(endian).into()) == Some(name))
            .map(|symbol| (symbol.st_value(endian), symbol.st_size(endian)))
    }

    /// Every address the system's loader would write to.
    pub(super) fn relocated(&self) -> impl Iterator<Item = u64> {
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
