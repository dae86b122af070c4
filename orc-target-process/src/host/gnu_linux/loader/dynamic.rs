//! The dynamic section of a loaded object: its symbols, their versions, its relocations.

use super::loaded::LoadedObject;
use super::tables;
use crate::host::elf::{self, Dyn, Rela};

/// The tables that an object's dynamic section leads to, as addresses in this process.
///
/// Everything read through it was accepted by the loader when it loaded the object, and stays
/// mapped while the object is loaded; callers hold the object loaded (a program's libraries are
/// not closed while it is entered).
#[derive(Clone, Debug, Default)]
pub(crate) struct Dynamic {
    bias: u64,
    symbols: u64,
    strings: u64,
    rela: (u64, u64),
    plt_rela: (u64, u64),
    gnu_hash: u64,
    versions: u64,
    version_needs: (u64, u64),
    version_definitions: (u64, u64),
    /// Offsets in the string table.
    soname: Option<u64>,
    needed: Vec<u64>,
    rpath: Option<u64>,
    runpath: Option<u64>,
}

/// A defined dynamic symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Definition {
    /// Its address; for an IFUNC, of its resolver.
    pub addr: u64,
    /// Its `STT_*` type.
    pub kind: u8,
    /// Its size in bytes, if the object says so.
    pub size: u64,
}

impl Dynamic {
    /// Finds an object's tables. `None` for an object without dynamic symbols.
    pub fn of(object: &LoadedObject) -> Option<Self> {
        let segment = object.segment(object.header(elf::PT_DYNAMIC)?);
        let range = object.range();
        // The loader replaces file addresses by memory addresses in place, though not in every
        // entry and not where the section is read-only.
        let place = |value: u64| match range.contains(&value) {
            true => value,
            false => value.wrapping_add(object.bias),
        };
        let mut out = Self {
            bias: object.bias,
            ..Self::default()
        };
        let count = (segment.end - segment.start) as usize / size_of::<Dyn>();
        // SAFETY: the segment is mapped and holds `Dyn` entries, aligned as the format demands.
        for entry in unsafe { tables::table::<Dyn>(segment.start, count) } {
            match entry.tag {
                elf::DT_NULL => break,
                elf::DT_SYMTAB => out.symbols = place(entry.value),
                elf::DT_STRTAB => out.strings = place(entry.value),
                elf::DT_RELA => out.rela.0 = place(entry.value),
                elf::DT_RELASZ => out.rela.1 = entry.value,
                elf::DT_JMPREL => out.plt_rela.0 = place(entry.value),
                elf::DT_PLTRELSZ => out.plt_rela.1 = entry.value,
                elf::DT_GNU_HASH => out.gnu_hash = place(entry.value),
                elf::DT_VERSYM => out.versions = place(entry.value),
                elf::DT_VERNEED => out.version_needs.0 = place(entry.value),
                elf::DT_VERNEEDNUM => out.version_needs.1 = entry.value,
                elf::DT_VERDEF => out.version_definitions.0 = place(entry.value),
                elf::DT_VERDEFNUM => out.version_definitions.1 = entry.value,
                elf::DT_RPATH => out.rpath = Some(entry.value),
                elf::DT_RUNPATH => out.runpath = Some(entry.value),
                elf::DT_SONAME => out.soname = Some(entry.value),
                elf::DT_NEEDED => out.needed.push(entry.value),
                _ => {}
            }
        }
        (out.symbols != 0 && out.strings != 0).then_some(out)
    }

    /// Difference between addresses in memory and in the file.
    pub fn bias(&self) -> u64 {
        self.bias
    }

    /// The name that other objects need it by, if it has one of its own.
    pub fn soname(&self) -> Option<&[u8]> {
        self.soname.map(|at| self.string(at))
    }

    /// Names of the libraries that it needs.
    pub fn needed(&self) -> impl Iterator<Item = &[u8]> {
        self.needed.iter().map(|&at| self.string(at))
    }

    /// The directories that it has the loader search, separated by colons.
    pub fn search_path(&self) -> Option<&[u8]> {
        self.runpath.or(self.rpath).map(|at| self.string(at))
    }

    fn string(&self, at: u64) -> &[u8] {
        // SAFETY: see the type; the offset is the loader's own or one it has used.
        unsafe { tables::c_string(self.strings + at) }
    }

    /// All relocations, those of the PLT last. A linker may let the two tables overlap; then some
    /// are seen twice.
    pub fn relocations(&self) -> impl Iterator<Item = Rela> + '_ {
        [self.rela, self.plt_rela]
            .into_iter()
            .filter(|&(at, size)| at != 0 && size != 0)
            .flat_map(|(at, size)| {
                // SAFETY: see the type: the loader has processed this table.
                unsafe { tables::table::<Rela>(at, size as usize / size_of::<Rela>()) }
            })
            .copied()
    }

    /// The symbol at an index that a relocation or a hash table names.
    pub fn symbol(&self, index: usize) -> libc::Elf64_Sym {
        // SAFETY: see the type; the index comes from the object's own tables.
        unsafe { tables::read(self.symbols + (index * size_of::<libc::Elf64_Sym>()) as u64) }
    }

    /// A symbol's name.
    pub fn name(&self, symbol: &libc::Elf64_Sym) -> &[u8] {
        self.string(symbol.st_name.into())
    }

    /// The version index of a symbol, hidden bit included.
    pub fn version_index(&self, index: usize) -> u16 {
        if self.versions == 0 {
            return elf::VER_NDX_GLOBAL;
        }
        // SAFETY: see the type; this table is parallel to the symbol table.
        unsafe { tables::read(self.versions + 2 * index as u64) }
    }

    /// The name of the version that a version index stands for, needed or defined.
    pub fn version_name(&self, index: u16) -> Option<&[u8]> {
        let index = index & !elf::VERSYM_HIDDEN;
        if index <= elf::VER_NDX_GLOBAL {
            return None;
        }
        self.needed_version(index)
            .or_else(|| self.defined_version(index))
    }

    fn needed_version(&self, index: u16) -> Option<&[u8]> {
        let mut need = self.version_needs.0;
        for _ in 0..self.version_needs.1 {
            // SAFETY: see the type: a chain of `Verneed` (16 bytes) of that length.
            let (count, first, next): (u16, u32, u32) = unsafe {
                (
                    tables::read(need + 2),
                    tables::read(need + 8),
                    tables::read(need + 12),
                )
            };
            let mut aux = need + u64::from(first);
            for _ in 0..count {
                // SAFETY: as above: a chain of `Vernaux` (16 bytes).
                let (other, name, next): (u16, u32, u32) = unsafe {
                    (
                        tables::read(aux + 6),
                        tables::read(aux + 8),
                        tables::read(aux + 12),
                    )
                };
                if other & !elf::VERSYM_HIDDEN == index {
                    return Some(self.string(name.into()));
                }
                aux += u64::from(next);
            }
            need += u64::from(next);
        }
        None
    }

    fn defined_version(&self, index: u16) -> Option<&[u8]> {
        let mut definition = self.version_definitions.0;
        for _ in 0..self.version_definitions.1 {
            // SAFETY: see the type: a chain of `Verdef` (20 bytes) of that length, each with the
            // offset of its first name.
            let (number, aux, next): (u16, u32, u32) = unsafe {
                (
                    tables::read(definition + 4),
                    tables::read(definition + 12),
                    tables::read(definition + 16),
                )
            };
            if number & !elf::VERSYM_HIDDEN == index {
                // SAFETY: as above.
                let name: u32 = unsafe { tables::read(definition + u64::from(aux)) };
                return Some(self.string(name.into()));
            }
            definition += u64::from(next);
        }
        None
    }

    /// The object's definition of a name: of the given version, else the default one, as a linker
    /// chooses. Objects without a GNU hash table are not searched.
    pub fn find(&self, name: &[u8], version: Option<&[u8]>) -> Option<Definition> {
        if self.gnu_hash == 0 {
            return None;
        }
        let hash = elf::gnu_hash(name);
        // SAFETY: see the type: the header of a GNU hash table.
        let [buckets, first, bloom, _shift]: [u32; 4] = unsafe { tables::read(self.gnu_hash) };
        if buckets == 0 {
            return None;
        }
        let bucket_table = self.gnu_hash + 16 + 8 * u64::from(bloom);
        let chain_table = bucket_table + 4 * u64::from(buckets);
        // SAFETY: as above; the hash modulo the count is a bucket.
        let mut index: u32 = unsafe { tables::read(bucket_table + 4 * u64::from(hash % buckets)) };
        if index < first {
            return None;
        }
        loop {
            // SAFETY: as above: a chain runs up to an entry with its lowest bit set.
            let entry: u32 = unsafe { tables::read(chain_table + 4 * u64::from(index - first)) };
            if entry | 1 == hash | 1
                && let Some(found) = self.matching(index as usize, name, version)
            {
                return Some(found);
            }
            if entry & 1 != 0 {
                return None;
            }
            index += 1;
        }
    }

    /// Every default definition of a function or variable, with its name.
    pub fn definitions(&self) -> impl Iterator<Item = (&[u8], Definition)> {
        self.hashed_symbols().filter_map(|index| {
            let symbol = self.symbol(index);
            let name = self.name(&symbol);
            let found = self.matching(index, name, None)?;
            let kinds = [elf::STT_FUNC, elf::STT_OBJECT];
            kinds.contains(&found.kind).then_some((name, found))
        })
    }

    /// Indices of the symbols in the GNU hash table: from the first hashed one to the end of the
    /// last chain.
    fn hashed_symbols(&self) -> std::ops::Range<usize> {
        if self.gnu_hash == 0 {
            return 0..0;
        }
        // SAFETY: see the type: header, bloom filter, buckets, chains.
        let [count, first, bloom, _shift]: [u32; 4] = unsafe { tables::read(self.gnu_hash) };
        let buckets = self.gnu_hash + 16 + 8 * u64::from(bloom);
        // SAFETY: as above.
        let starts = unsafe { tables::table::<u32>(buckets, count as usize) };
        let Some(&start) = starts.iter().max().filter(|&&start| start >= first) else {
            return 0..0;
        };
        let chains = buckets + 4 * u64::from(count);
        let mut last = start;
        // SAFETY: as above: a chain runs up to an entry with its lowest bit set.
        while unsafe { tables::read::<u32>(chains + 4 * u64::from(last - first)) } & 1 == 0 {
            last += 1;
        }
        first as usize..last as usize + 1
    }

    /// The symbol at `index` if it is a definition of this name and version.
    fn matching(&self, index: usize, name: &[u8], version: Option<&[u8]>) -> Option<Definition> {
        let symbol = self.symbol(index);
        if symbol.st_shndx == elf::SHN_UNDEF || self.name(&symbol) != name {
            return None;
        }
        let own = self.version_index(index);
        let matches = match (version, self.version_name(own)) {
            (Some(wanted), Some(own)) => wanted == own,
            (None, _) => own & elf::VERSYM_HIDDEN == 0,
            // A definition without a version serves every reference.
            (Some(_), None) => own & elf::VERSYM_HIDDEN == 0,
        };
        let absolute = symbol.st_shndx == elf::SHN_ABS;
        matches.then(|| Definition {
            addr: symbol
                .st_value
                .wrapping_add(if absolute { 0 } else { self.bias }),
            kind: symbol.st_info & 0xf,
            size: symbol.st_size,
        })
    }
}
