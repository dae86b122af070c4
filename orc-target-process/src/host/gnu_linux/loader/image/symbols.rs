//! Symbols, names and the GNU hash table of a synthesized object.

use super::versions::Versions;
use super::{ImageError, ImageSpec};
use crate::host::elf;
use orc_shared::api::{ImportKind, NativeKind};

/// The dynamic symbol table: the null symbol, the imports in their order, then the exports in the
/// order that the hash table wants.
pub(super) struct Symbols {
    entries: Vec<Entry>,
    strings: Vec<u8>,
    first_export: usize,
    buckets: u32,
}

struct Entry {
    name: u32,
    info: u8,
    section: u16,
    value: u64,
    size: u64,
    version: u16,
    hash: u32,
}

/// Offsets of names in the string table that the dynamic section refers to.
pub(super) struct DynamicNames {
    pub needed: Vec<u32>,
    pub search_path: Option<u32>,
}

impl Symbols {
    pub fn new(spec: &ImageSpec<'_>, versions: &Versions<'_>) -> Result<Self, ImageError> {
        let count = 1 + spec.imports.len() + spec.exports.len();
        let mut out = Self {
            entries: Vec::with_capacity(count),
            strings: vec![0],
            first_export: 1 + spec.imports.len(),
            buckets: u32::try_from(spec.exports.len() / 2)
                .unwrap_or(u32::MAX)
                .max(1),
        };
        out.entries.push(Entry {
            name: 0,
            info: 0,
            section: elf::SHN_UNDEF,
            value: 0,
            size: 0,
            version: 0,
            hash: 0,
        });
        for (import, version) in spec.imports.iter().zip(&versions.of_imports) {
            let kind = match import.kind {
                ImportKind::Address => elf::STT_NOTYPE,
                ImportKind::TlsModuleAndOffset | ImportKind::TpOffset => elf::STT_TLS,
            };
            let binding = if import.weak {
                elf::STB_WEAK
            } else {
                elf::STB_GLOBAL
            };
            let entry = Entry {
                name: out.add_string(&import.name)?,
                info: binding << 4 | kind,
                section: elf::SHN_UNDEF,
                value: 0,
                size: 0,
                version: *version,
                hash: 0,
            };
            out.entries.push(entry);
        }
        out.add_exports(spec, versions)?;
        Ok(out)
    }

    fn add_exports(
        &mut self,
        spec: &ImageSpec<'_>,
        versions: &Versions<'_>,
    ) -> Result<(), ImageError> {
        for (export, version) in spec.exports.iter().zip(&versions.of_exports) {
            let kind = match export.kind {
                NativeKind::Function => elf::STT_FUNC,
                NativeKind::Data => elf::STT_OBJECT,
                NativeKind::ThreadLocal => elf::STT_TLS,
            };
            let entry = Entry {
                name: self.add_string(&export.name)?,
                info: elf::STB_GLOBAL << 4 | kind,
                // The loader adds no load bias to the value of an absolute symbol (glibc 2.28).
                section: elf::SHN_ABS,
                value: export.addr.value(),
                size: export.size,
                version: *version,
                hash: elf::gnu_hash(&export.name),
            };
            self.entries.push(entry);
        }
        let buckets = self.buckets;
        self.entries[self.first_export..].sort_by_key(|entry| entry.hash % buckets);
        Ok(())
    }

    /// Adds a name and returns its offset.
    pub fn add_string(&mut self, name: &[u8]) -> Result<u32, ImageError> {
        if name.contains(&0) {
            let name = orc_shared::printable_text(name);
            return Err(ImageError::ZeroByte(name));
        }
        let at = u32::try_from(self.strings.len()).map_err(|_| ImageError::TooManyNames)?;
        self.strings.extend_from_slice(name);
        self.strings.push(0);
        Ok(at)
    }

    /// Adds the names of needed libraries and the search path. A library whose versions are asked
    /// for is needed even if the caller did not list it by that name: the loader stops the process
    /// when it does not find it.
    pub fn add_dynamic_names(
        &mut self,
        spec: &ImageSpec<'_>,
        versions: &Versions<'_>,
    ) -> Result<DynamicNames, ImageError> {
        let mut needed = Vec::with_capacity(spec.needed.len());
        for name in spec.needed {
            needed.push(self.add_string(name.as_bytes())?);
        }
        for library in versions.libraries() {
            if !spec.needed.iter().any(|name| name.as_bytes() == library) {
                needed.push(self.add_string(library)?);
            }
        }
        let search_path = match spec.search_path {
            [] => None,
            directories => Some(self.add_string(directories.join(":").as_bytes())?),
        };
        Ok(DynamicNames {
            needed,
            search_path,
        })
    }

    /// Offsets of the exports in the file, if the table starts at `table`.
    pub fn exports(&self, table: u64) -> std::ops::Range<u64> {
        let offset = |index: usize| table + (index * size_of::<libc::Elf64_Sym>()) as u64;
        offset(self.first_export)..offset(self.entries.len())
    }

    pub fn string_bytes(&self) -> &[u8] {
        &self.strings
    }

    pub fn symbol_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() * size_of::<libc::Elf64_Sym>());
        for entry in &self.entries {
            bytes.extend_from_slice(&entry.name.to_le_bytes());
            bytes.extend_from_slice(&[entry.info, 0]);
            bytes.extend_from_slice(&entry.section.to_le_bytes());
            bytes.extend_from_slice(&entry.value.to_le_bytes());
            bytes.extend_from_slice(&entry.size.to_le_bytes());
        }
        bytes
    }

    /// Version indices, parallel to the symbols.
    pub fn version_bytes(&self) -> Vec<u8> {
        let versions = self.entries.iter();
        versions
            .flat_map(|entry| entry.version.to_le_bytes())
            .collect()
    }

    /// The hash table of the exports: header, bloom filter, buckets, chains.
    pub fn hash_bytes(&self) -> Vec<u8> {
        const SHIFT: u32 = 6;
        let exports = &self.entries[self.first_export..];
        // Two bits are set per name: 16 names per word keep three lookups in four out.
        let words = (exports.len() / 16).max(1).next_power_of_two();
        let mut bloom = vec![0u64; words];
        let mut buckets = vec![0u32; self.buckets as usize];
        let mut chains = Vec::with_capacity(exports.len());
        for (offset, entry) in exports.iter().enumerate() {
            let word = (entry.hash / 64) as usize % words;
            bloom[word] |= 1 << (entry.hash % 64) | 1 << ((entry.hash >> SHIFT) % 64);
            let bucket = entry.hash % self.buckets;
            let first = &mut buckets[bucket as usize];
            if *first == 0 {
                *first = (self.first_export + offset) as u32;
            }
            let next = exports.get(offset + 1);
            let last = next.is_none_or(|next| next.hash % self.buckets != bucket);
            chains.push(entry.hash & !1 | u32::from(last));
        }
        let header = [self.buckets, self.first_export as u32, words as u32, SHIFT];
        let mut bytes = Vec::with_capacity(16 + 8 * words + 4 * (buckets.len() + chains.len()));
        bytes.extend(header.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(bloom.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(buckets.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(chains.iter().flat_map(|word| word.to_le_bytes()));
        bytes
    }
}
