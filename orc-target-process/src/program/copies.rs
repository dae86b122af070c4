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

use super::ProgramError;
use crate::api::CopyRelocation;
use crate::native::{Dynamic, LoadedObject, RelocationKind, loaded_objects, relocation_kind};

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

/// Copies the bytes and returns what has moved.
pub(super) fn make(copies: &[CopyRelocation]) -> Result<Vec<Moved>, ProgramError> {
    if copies.is_empty() {
        return Ok(Vec::new());
    }
    let objects = loaded_objects();
    let executable = objects.first().map(executable_copies).unwrap_or_default();
    let mut libraries: HashMap<&str, Option<u64>> = HashMap::new();
    let mut moved = Vec::with_capacity(copies.len());
    for copy in copies {
        let bias = libraries
            .entry(&copy.library)
            .or_insert_with(|| find_library(&objects, &copy.library));
        let Some(bias) = *bias else {
            return Err(ProgramError::CopySource {
                symbol: String::from_utf8_lossy(&copy.name).into_owned(),
                library: copy.library.clone(),
            });
        };
        let from = bias.wrapping_add(copy.file_addr);
        let to = copy.to.value();
        // If the executable has copied the variable itself, its copy is the one in use.
        let current = executable.get(&copy.name).copied().unwrap_or(from);
        let size = copy.size;
        // SAFETY: the library's data is mapped and relocated; the target is the program's memory,
        // still being filled, which the caller gave for this symbol with this size.
        unsafe {
            std::ptr::copy(
                std::ptr::with_exposed_provenance::<u8>(current as usize),
                std::ptr::with_exposed_provenance_mut::<u8>(to as usize),
                size as usize,
            );
        }
        for from in [from, current] {
            moved.push(Moved { from, to, size });
        }
    }
    moved.sort_by_key(|moved| moved.from);
    moved.dedup();
    Ok(moved)
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
