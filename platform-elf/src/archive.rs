//! Archives of ELF objects.

use std::path::Path;
use std::sync::Arc;

use jit_core::graph::InputBytes;
use jit_core::name::NameTable;
use jit_core::object::{LazyObjects as _, ObjectError};
use orc_inputs::archive::Archive;
use orc_inputs::format::ReadObjects;
use orc_inputs::input::{InputOpener, OwnedBytes};

use crate::format;

/// Reads the index of an archive whose members are ELF objects, as [`Archive::new`] does.
///
/// # Errors
/// Those of [`Archive::new`].
pub fn open(
    name: impl Into<String>,
    input: Arc<dyn InputBytes>,
    names: &Arc<NameTable>,
) -> Result<Archive, ObjectError> {
    Archive::new(name, input, &ReadObjects::new(format::only(), names))
}

/// Reads arbitrary bytes as an archive, its members too: the entry of the fuzz target. No file is
/// opened. Never panics.
pub fn fuzz_archive(bytes: &[u8]) {
    struct NoFiles;
    impl InputOpener for NoFiles {
        fn open(&self, _: &Path) -> std::io::Result<Arc<dyn InputBytes>> {
            Err(std::io::ErrorKind::NotFound.into())
        }
    }
    let names = Arc::new(NameTable::default());
    let input = Arc::new(OwnedBytes::from(bytes.to_vec()));
    let objects = ReadObjects::new(format::only(), &names);
    let archive = Archive::with_opener("fuzz.a", input, &objects, "", Arc::new(NoFiles));
    if let Ok(archive) = archive {
        for member in 0..=archive.len() {
            // An error is as good as an object.
            let _ = archive.load(member);
        }
        let _ = archive.members();
    }
}

#[cfg(test)]
mod tests;
