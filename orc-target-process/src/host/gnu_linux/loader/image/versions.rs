//! Symbol versions of a synthesized object: which it needs, by library, and which it defines.

use std::collections::HashMap;

use super::symbols::Symbols;
use super::{ImageError, ImageSpec, append};
use crate::host::elf;

/// Version indices of a synthesized object's symbols.
pub(super) struct Versions<'a> {
    /// Needed versions, grouped by library, in order of first use.
    needs: Vec<(&'a [u8], Vec<Version<'a>>)>,
    /// Versions that exports carry.
    definitions: Vec<Version<'a>>,
    /// Index per import.
    pub of_imports: Vec<u16>,
    /// Index per export.
    pub of_exports: Vec<u16>,
}

struct Version<'a> {
    name: &'a [u8],
    index: u16,
    /// Whether only weak references need it: the loader then does without.
    weak: bool,
}

/// Contents of the version sections.
pub(super) struct VersionParts {
    needs: Vec<u8>,
    need_count: u64,
    definitions: Vec<u8>,
    definition_count: u64,
}

/// File offsets of the version sections; offset and number of entries where there are several.
pub(super) struct Offsets {
    pub symbols: u64,
    pub needs: Option<(u64, u64)>,
    pub definitions: Option<(u64, u64)>,
}

/// A library's name and one of its versions.
type VersionKey<'a> = (&'a [u8], &'a [u8]);

impl<'a> Versions<'a> {
    pub fn new(spec: &ImageSpec<'a>) -> Result<Self, ImageError> {
        let mut out = Self {
            needs: Vec::new(),
            definitions: Vec::new(),
            of_imports: Vec::with_capacity(spec.imports.len()),
            of_exports: Vec::with_capacity(spec.exports.len()),
        };
        let mut next = elf::VER_NDX_GLOBAL + 1;
        let mut take = || {
            let index = next;
            next += 1;
            match index & elf::VERSYM_HIDDEN {
                0 => Ok(index),
                _ => Err(ImageError::TooManyVersions),
            }
        };
        let mut places: HashMap<VersionKey<'_>, (usize, usize)> = HashMap::new();
        let mut libraries: HashMap<&[u8], usize> = HashMap::new();
        for import in spec.imports {
            let Some((version, library)) = &import.version else {
                out.of_imports.push(elf::VER_NDX_GLOBAL);
                continue;
            };
            let group = *libraries.entry(library).or_insert_with(|| {
                out.needs.push((library, Vec::new()));
                out.needs.len() - 1
            });
            let versions = &mut out.needs[group].1;
            let place = places.get(&(library.as_slice(), version.as_slice()));
            let at = match place {
                Some(&(_, at)) => at,
                None => {
                    versions.push(Version {
                        name: version,
                        index: take()?,
                        weak: true,
                    });
                    places.insert((library, version), (group, versions.len() - 1));
                    versions.len() - 1
                }
            };
            versions[at].weak &= import.weak;
            out.of_imports.push(versions[at].index);
        }
        let mut defined: HashMap<&[u8], u16> = HashMap::new();
        for export in spec.exports {
            let index = match &export.version {
                None => elf::VER_NDX_GLOBAL,
                Some(name) => match defined.get(name.as_slice()) {
                    Some(index) => *index,
                    None => {
                        let index = take()?;
                        defined.insert(name, index);
                        out.definitions.push(Version {
                            name,
                            index,
                            weak: false,
                        });
                        index
                    }
                },
            };
            out.of_exports.push(index);
        }
        Ok(out)
    }

    /// The libraries whose versions are needed.
    pub fn libraries(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.needs.iter().map(|(library, _)| *library)
    }

    /// Makes the sections, adding their names to the string table. `None` if no symbol carries a
    /// version: the loader must then find no version table at all.
    pub fn build(&mut self, symbols: &mut Symbols) -> Result<Option<VersionParts>, ImageError> {
        if self.needs.is_empty() && self.definitions.is_empty() {
            return Ok(None);
        }
        let mut parts = VersionParts {
            needs: Vec::new(),
            need_count: self.needs.len() as u64,
            definitions: Vec::new(),
            definition_count: 0,
        };
        for (at, (library, versions)) in self.needs.iter().enumerate() {
            let more = at + 1 < self.needs.len();
            append_need(&mut parts.needs, symbols, library, versions, more)?;
        }
        if !self.definitions.is_empty() {
            parts.definition_count = self.definitions.len() as u64 + 1;
            let own = Version {
                name: b"program",
                index: elf::VER_NDX_GLOBAL,
                weak: false,
            };
            let last = self.definitions.len();
            for (at, version) in std::iter::once(&own).chain(&self.definitions).enumerate() {
                let flags = if at == 0 { elf::VER_FLG_BASE } else { 0 };
                append_definition(&mut parts.definitions, symbols, version, flags, at < last)?;
            }
        }
        Ok(Some(parts))
    }
}

/// Appends a `Verneed` (16 bytes) with its `Vernaux` (16 bytes each).
fn append_need(
    bytes: &mut Vec<u8>,
    symbols: &mut Symbols,
    library: &[u8],
    versions: &[Version<'_>],
    more: bool,
) -> Result<(), ImageError> {
    let count = versions.len() as u16;
    let next = if more { 16 + 16 * u32::from(count) } else { 0 };
    bytes.extend_from_slice(&1u16.to_le_bytes());
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes.extend_from_slice(&symbols.add_string(library)?.to_le_bytes());
    bytes.extend_from_slice(&16u32.to_le_bytes());
    bytes.extend_from_slice(&next.to_le_bytes());
    for (at, version) in versions.iter().enumerate() {
        let flags = if version.weak { elf::VER_FLG_WEAK } else { 0 };
        let next: u32 = if at + 1 < versions.len() { 16 } else { 0 };
        bytes.extend_from_slice(&elf::sysv_hash(version.name).to_le_bytes());
        bytes.extend_from_slice(&flags.to_le_bytes());
        bytes.extend_from_slice(&version.index.to_le_bytes());
        bytes.extend_from_slice(&symbols.add_string(version.name)?.to_le_bytes());
        bytes.extend_from_slice(&next.to_le_bytes());
    }
    Ok(())
}

/// Appends a `Verdef` (20 bytes) with its one `Verdaux` (8 bytes).
fn append_definition(
    bytes: &mut Vec<u8>,
    symbols: &mut Symbols,
    version: &Version<'_>,
    flags: u16,
    more: bool,
) -> Result<(), ImageError> {
    let next: u32 = if more { 28 } else { 0 };
    for half in [1, flags, version.index, 1] {
        bytes.extend_from_slice(&half.to_le_bytes());
    }
    bytes.extend_from_slice(&elf::sysv_hash(version.name).to_le_bytes());
    bytes.extend_from_slice(&20u32.to_le_bytes());
    bytes.extend_from_slice(&next.to_le_bytes());
    bytes.extend_from_slice(&symbols.add_string(version.name)?.to_le_bytes());
    bytes.extend_from_slice(&0u32.to_le_bytes());
    Ok(())
}

impl VersionParts {
    pub fn append(&self, bytes: &mut Vec<u8>, symbols: &Symbols) -> Offsets {
        let mut section =
            |part: &[u8], count: u64| (count != 0).then(|| (append(bytes, 8, part), count));
        let needs = section(&self.needs, self.need_count);
        let definitions = section(&self.definitions, self.definition_count);
        Offsets {
            symbols: append(bytes, 2, &symbols.version_bytes()),
            needs,
            definitions,
        }
    }
}
