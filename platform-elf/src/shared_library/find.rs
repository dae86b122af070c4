//! Looking a name up through the file's own hash table, with versions.

use std::collections::HashMap;

use object::elf::{self, Verdaux, Verdef, Vernaux, Verneed, Versym};
use object::{LittleEndian as LE, ReadRef, U32, U64};

use super::SharedLibrary;
use super::tables::{GnuHash, SysvHash};

/// The version a reference asks for.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    /// None: the default one (`name@@VER`), or a definition without a version.
    Default,
    /// The version of this name, old or not.
    Exactly(&'a [u8]),
}

impl SharedLibrary {
    /// The index of the definition that `name` ("name" or "name@VER") refers to.
    pub(super) fn find_index(&self, name: &[u8]) -> Option<u32> {
        let (name, wanted) = split_version(name);
        if let Some(table) = &self.tables.gnu_hash {
            self.search_gnu(table, name, |index| self.matches(index, name, wanted))
        } else if let Some(table) = &self.tables.sysv_hash {
            self.find_sysv(table, name, wanted)
        } else {
            None
        }
    }

    /// The first entry of the table with this name's hash that is `the_one`.
    pub(super) fn search_gnu(
        &self,
        table: &GnuHash,
        name: &[u8],
        the_one: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let bytes = self.input.bytes();
        let hash = elf::gnu_hash(name);
        let word_at = u64::from(hash / 64) & u64::from(table.bloom_words - 1);
        let word = bytes.read_at::<U64<LE>>(table.bloom + word_at * 8).ok()?;
        let bits = 1u64 << (hash % 64) | 1u64 << ((hash >> table.bloom_shift) % 64);
        if word.get(LE) & bits != bits {
            return None;
        }
        let bucket_at = table.buckets + u64::from(hash % table.bucket_count) * 4;
        let mut index = bytes.read_at::<U32<LE>>(bucket_at).ok()?.get(LE);
        if index == 0 {
            return None;
        }
        loop {
            let in_chain = u64::from(index.checked_sub(table.first_symbol)?);
            let value = bytes.read_at::<U32<LE>>(table.chains + in_chain * 4).ok()?;
            let value = value.get(LE);
            if (value | 1) == (hash | 1) && the_one(index) {
                return Some(index);
            }
            // The lowest bit ends a chain.
            if value & 1 != 0 {
                return None;
            }
            index = index.checked_add(1)?;
        }
    }

    fn find_sysv(&self, table: &SysvHash, name: &[u8], wanted: Wanted<'_>) -> Option<u32> {
        let bytes = self.input.bytes();
        let word = |at: u64| Some(bytes.read_at::<U32<LE>>(at).ok()?.get(LE));
        let mut index = word(table.buckets + u64::from(elf::hash(name) % table.bucket_count) * 4)?;
        // A chain visits each symbol at most once, unless the file is corrupt.
        for _ in 0..table.chain_count {
            if index == 0 {
                return None;
            }
            if self.matches(index, name, wanted) {
                return Some(index);
            }
            index = word(table.chains + u64::from(index) * 4)?;
        }
        None
    }

    /// Whether the entry defines `name` in the version asked for.
    fn matches(&self, index: u32, name: &[u8], wanted: Wanted<'_>) -> bool {
        let Some(symbol) = self.symbol(index) else {
            return false;
        };
        let defined = symbol.st_shndx.get(LE) != elf::SHN_UNDEF && Self::takes_part(symbol);
        if !defined || self.name_of(symbol) != name {
            return false;
        }
        match wanted {
            Wanted::Default => self.is_default_version(index),
            Wanted::Exactly(version) => self
                .version_index(index)
                .and_then(|version| self.version_name(version))
                .is_some_and(|found| found == version),
        }
    }

    /// The entry's field in the version table; `None` in a library without versions.
    pub(super) fn version_index(&self, index: u32) -> Option<u16> {
        let at = self.tables.versyms? + u64::from(index) * 2;
        let entry = self.input.bytes().read_at::<Versym<LE>>(at).ok()?;
        Some(entry.0.get(LE).0)
    }

    /// Whether a reference without a version may bind to the entry.
    pub(super) fn is_default_version(&self, index: u32) -> bool {
        match self.version_index(index) {
            None => true,
            Some(entry) => {
                entry & elf::VERSYM_HIDDEN.0 == 0
                    && entry & elf::VERSYM_VERSION != elf::VER_NDX_LOCAL.0
            }
        }
    }

    /// The name of the version that a field of the version table refers to. A library defines a
    /// few dozen at most, chained one after the other.
    pub(super) fn version_name(&self, entry: u16) -> Option<&[u8]> {
        let wanted = entry & elf::VERSYM_VERSION;
        if wanted <= elf::VER_NDX_GLOBAL.0 {
            return None;
        }
        let bytes = self.input.bytes();
        let (mut at, count) = self.tables.verdefs?;
        for _ in 0..count {
            let verdef = bytes.read_at::<Verdef<LE>>(at).ok()?;
            if verdef.vd_ndx.get(LE).0 == wanted {
                let aux = at.checked_add(u64::from(verdef.vd_aux.get(LE)))?;
                let aux = bytes.read_at::<Verdaux<LE>>(aux).ok()?;
                return Some(self.tables.string(bytes, aux.vda_name.get(LE)));
            }
            match verdef.vd_next.get(LE) {
                0 => return None,
                next => at = at.checked_add(u64::from(next))?,
            }
        }
        None
    }
}

impl SharedLibrary {
    /// The versions that the library needs of others, by the number that its version table has for
    /// each.
    pub(super) fn needed_versions(&self) -> HashMap<u16, &[u8]> {
        let bytes = self.input.bytes();
        let mut versions = HashMap::new();
        let Some((mut at, count)) = self.tables.verneeds else {
            return versions;
        };
        for _ in 0..count {
            let Ok(need) = bytes.read_at::<Verneed<LE>>(at) else {
                break;
            };
            let mut next = at.saturating_add(u64::from(need.vn_aux.get(LE)));
            for _ in 0..need.vn_cnt.get(LE) {
                let Ok(aux) = bytes.read_at::<Vernaux<LE>>(next) else {
                    break;
                };
                let name = self.tables.string(bytes, aux.vna_name.get(LE));
                versions.insert(aux.vna_other.get(LE).0 & elf::VERSYM_VERSION, name);
                next = next.saturating_add(u64::from(aux.vna_next.get(LE)));
            }
            match need.vn_next.get(LE) {
                0 => break,
                offset => at = at.saturating_add(u64::from(offset)),
            }
        }
        versions
    }
}

/// Splits "name@VER" (or "name@@VER") as an assembler's `.symver` writes references.
fn split_version(name: &[u8]) -> (&[u8], Wanted<'_>) {
    let Some(at) = name.iter().position(|&b| b == b'@').filter(|&at| at > 0) else {
        return (name, Wanted::Default);
    };
    let version = &name[at + 1..];
    let version = version.strip_prefix(b"@").unwrap_or(version);
    (&name[..at], Wanted::Exactly(version))
}
