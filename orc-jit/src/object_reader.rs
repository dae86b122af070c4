//! Input files as the objects and archives of one JIT.

use std::path::Path;
use std::sync::Arc;

use jit_core::graph::InputBytes;
use jit_core::name::NameTable;
use jit_core::object::{ObjectError, ObjectFile};
use platform_elf::archive::Archive;
use platform_elf::input::OwnedBytes;
use platform_elf::object::{ElfObject, WrappedNames};

use crate::error::Error;
use crate::mapped::MapFiles;

/// Reads objects for one JIT.
#[derive(Clone, Default)]
pub struct ObjectReader {
    names: Arc<NameTable>,
    wrapped: Arc<WrappedNames>,
}

impl ObjectReader {
    /// A reader that interns names in `names` and wraps these symbols.
    pub(crate) fn new(names: Arc<NameTable>, wrapped: &[String]) -> Self {
        let symbols = wrapped.iter().map(String::as_str);
        let wrapped = Arc::new(WrappedNames::new(symbols, &names));
        Self { names, wrapped }
    }

    /// An object in memory, for [`jit_core::session::Responsibility::link`]. `name` is for messages.
    ///
    /// # Errors
    /// When the bytes are no relocatable object for this machine.
    pub fn read(
        &self,
        name: &str,
        bytes: impl Into<Vec<u8>>,
    ) -> Result<Arc<dyn ObjectFile>, Error> {
        let input = Arc::new(OwnedBytes::from(bytes.into()));
        Ok(self.object(name, input)?)
    }

    /// The table that names are interned in.
    pub(crate) fn names(&self) -> &Arc<NameTable> {
        &self.names
    }

    /// The object that `input` holds.
    pub(crate) fn object(
        &self,
        name: impl Into<String>,
        input: Arc<dyn InputBytes>,
    ) -> Result<Arc<dyn ObjectFile>, ObjectError> {
        let object = ElfObject::with_wrapped(name, input, &self.names, &self.wrapped)?;
        Ok(Arc::new(object))
    }

    /// The archive that `input`, the file at `path`, holds.
    pub(crate) fn archive(
        &self,
        name: impl Into<String>,
        path: &Path,
        input: Arc<dyn InputBytes>,
    ) -> Result<Archive, ObjectError> {
        let directory = path.parent().unwrap_or(Path::new(""));
        let opener = Arc::new(MapFiles);
        let archive = Archive::with_opener(name, input, &self.names, directory, opener)?;
        Ok(archive.wrapping(&self.wrapped))
    }
}
