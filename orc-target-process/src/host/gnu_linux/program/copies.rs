//! Copy relocations: data of a library that the program has its own copy of.
//!
//! Code that refers to a library's variable by a 32-bit address needs the variable close by. So the
//! linker puts a copy into the program, the loader fills it with the library's initial bytes (after
//! relocating the library, before its constructors run), and everybody uses the copy from then on.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use orc_shared::api::{CopyRelocation, SegmentKind};

use super::ProgramError;
use crate::host;
use crate::host::MemoryError;
use crate::host::loader::relocation_kind::{RelocationKind, relocation_kind};
use crate::host::loader::{Dynamic, LoadedObject, Scope, loaded_objects};

/// A variable that has moved into the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    /// Where it was.
    pub from: u64,
    /// Where it is.
    pub to: u64,
    /// Its size in bytes.
    pub size: u64,
}

/// The copies of a program.
pub(super) struct Copies<'a> {
    requests: &'a [CopyRelocation],
    /// Where the bytes of each are, and how many.
    sources: Vec<(u64, u64)>,
    /// What has moved, in the order of the old places.
    pub moved: Vec<Moved>,
}

impl<'a> Copies<'a> {
    /// Finds the libraries' variables.
    pub fn find(requests: &'a [CopyRelocation]) -> Result<Self, ProgramError> {
        let mut copies = Self {
            requests,
            sources: Vec::with_capacity(requests.len()),
            moved: Vec::with_capacity(requests.len()),
        };
        if requests.is_empty() {
            return Ok(copies);
        }
        let objects = loaded_objects();
        let executable = objects.first().map(executable_copies).unwrap_or_default();
        let mut libraries: HashMap<&str, Option<u64>> = HashMap::new();
        let mut scope = None;
        for copy in requests {
            let bias = libraries
                .entry(&copy.library)
                .or_insert_with(|| find_library(&objects, &copy.library));
            let (from, size) = match *bias {
                Some(bias) => (bias.wrapping_add(copy.file_addr), copy.size),
                // The loader has found another file of the library than the linker.
                None => {
                    let scope = scope.get_or_insert_with(Scope::of_files);
                    let found = scope.definition(&copy.name, None);
                    let found = found.ok_or_else(|| ProgramError::CopySource {
                        symbol: orc_shared::printable_text(&copy.name),
                        library: copy.library.clone(),
                    })?;
                    (found.addr, copy.size.min(found.size))
                }
            };
            // If the executable has copied the variable itself, its copy is the one in use.
            let current = executable.get(&copy.name).copied().unwrap_or(from);
            copies.sources.push((current, size));
            let to = copy.to.value();
            for from in [from, current] {
                copies.moved.push(Moved { from, to, size });
            }
        }
        copies.moved.sort_by_key(|moved| moved.from);
        copies.moved.dedup();
        Ok(copies)
    }

    /// Copies the bytes of variables, while the program's memory is being filled.
    pub fn fill_variables(&self) {
        for (copy, &(from, size)) in self.requests.iter().zip(&self.sources) {
            if !copy.read_only {
                copy_bytes(from, copy.to.value(), size);
            }
        }
    }

    /// Copies the bytes of constants, once the program's memory is final: before that, it may not be
    /// what will be there.
    pub fn fill_constants(&self) -> Result<(), MemoryError> {
        let page = host::pages::page_size();
        for (copy, &(from, size)) in self.requests.iter().zip(&self.sources) {
            if copy.read_only && size > 0 {
                let to = copy.to.value();
                let pages = to / page * page..(to + size).next_multiple_of(page);
                host::pages::protect(pages.clone(), SegmentKind::ReadWrite)?;
                copy_bytes(from, to, size);
                host::pages::protect(pages, SegmentKind::ReadOnly)?;
            }
        }
        Ok(())
    }
}

fn copy_bytes(from: u64, to: u64, size: u64) {
    // SAFETY: the library's data is mapped and relocated; the target is the program's memory, not yet
    // in use, which the caller gave for this symbol with this size and has made writable.
    unsafe {
        std::ptr::copy(
            std::ptr::with_exposed_provenance::<u8>(from as usize),
            std::ptr::with_exposed_provenance_mut::<u8>(to as usize),
            size as usize,
        );
    }
}

/// The variables that the executable itself has copies of, with their addresses.
fn executable_copies(executable: &LoadedObject) -> HashMap<Vec<u8>, u64> {
    let Some(dynamic) = Dynamic::of(executable) else {
        return HashMap::new();
    };
    dynamic
        .relocations()
        .filter(|rela| relocation_kind(rela.kind()) == RelocationKind::Copy)
        .map(|rela| {
            let symbol = dynamic.symbol(rela.symbol());
            let addr = dynamic.bias().wrapping_add(rela.offset);
            (dynamic.name(&symbol).to_vec(), addr)
        })
        .collect()
}

/// The load bias of the library whose file is at `path`, under whatever name it was loaded.
fn find_library(objects: &[LoadedObject], path: &str) -> Option<u64> {
    let same_name = objects.iter().find(|o| o.name == path.as_bytes());
    if let Some(object) = same_name {
        return Some(object.bias);
    }
    let identity = |path: &Path| path.metadata().ok().map(|m| (m.dev(), m.ino()));
    let wanted = identity(Path::new(path))?;
    objects
        .iter()
        .filter(|o| !o.is_executable && !o.is_vdso() && !o.is_synthesized())
        .find(|o| identity(Path::new(OsStr::from_bytes(&o.name))) == Some(wanted))
        .map(|o| o.bias)
}
