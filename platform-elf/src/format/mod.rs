//! ELF, as whoever reads inputs asks for it.

use std::path::Path;
use std::sync::Arc;

use jit_core::cpu::Architecture;
use jit_core::graph::InputBytes;
use jit_core::name::NameTable;
use jit_core::native::NativeLibrary;
use jit_core::object::{ObjectError, ObjectFile};
use object::elf;
use orc_inputs::file_kind::{FileKind, Format};
use orc_inputs::format::{Formats, LibraryError, LibraryOrigin, LoadedFile, ObjectFormat};
use orc_inputs::input::InputOpener;
use orc_inputs::wrapped::WrappedNames;

use crate::machine::Machine;
use crate::native_code::ElfFile;
use crate::object::ElfObject;
use crate::object::interface::default_version;
use crate::shared_library::SharedLibrary;

/// The format ELF.
#[derive(Clone, Copy, Debug, Default)]
pub struct Elf;

/// A session that reads nothing but ELF.
#[must_use]
pub fn only() -> Formats {
    Formats::new(Arc::new(Elf), &[])
}

impl ObjectFormat for Elf {
    fn format(&self) -> Format {
        Format::Elf
    }

    fn kind_of(&self, bytes: &[u8]) -> FileKind {
        // `e_type` stands at the same place in every class; 64-bit big-endian files are refused later
        // by the readers, with a better message.
        let e_type = match (bytes.get(5), bytes.get(16), bytes.get(17)) {
            (Some(2), Some(high), Some(low)) | (_, Some(low), Some(high)) => {
                u16::from_le_bytes([*low, *high])
            }
            _ => return FileKind::Refused("is cut off within its ELF header".to_owned()),
        };
        let refused = match elf::FileType(e_type) {
            elf::ET_REL => return FileKind::Object(Format::Elf),
            elf::ET_DYN => return FileKind::SharedLibrary(Format::Elf),
            elf::ET_EXEC => "is a linked executable: run it directly",
            elf::ET_CORE => "is a core dump",
            _ => "is an ELF file of an unknown type",
        };
        FileKind::Refused(refused.to_owned())
    }

    fn is_foreign(&self, bytes: &[u8], architecture: Architecture) -> bool {
        if bytes.len() < 20 {
            return false;
        }
        let machine = u16::from_le_bytes([bytes[18], bytes[19]]);
        bytes[4] != elf::ELFCLASS64.0
            || bytes[5] != elf::ELFDATA2LSB.0
            || machine != Machine::with(architecture).number.0
    }

    fn library_suffixes(&self) -> &'static [&'static str] {
        &[".so"]
    }

    fn default_version(&self, name: &[u8]) -> Option<usize> {
        default_version(name)
    }

    fn object(
        &self,
        name: String,
        input: Arc<dyn InputBytes>,
        names: &Arc<NameTable>,
        wrapped: &WrappedNames,
    ) -> Result<Arc<dyn ObjectFile>, ObjectError> {
        let object = ElfObject::with_wrapped(name, input, names, wrapped)?;
        Ok(Arc::new(object))
    }

    fn shared_library(
        &self,
        path: &Path,
        input: Arc<dyn InputBytes>,
        origin: LibraryOrigin,
    ) -> Result<Arc<dyn NativeLibrary>, LibraryError> {
        Ok(Arc::new(SharedLibrary::of(path, input, origin)?))
    }

    fn loaded_file(&self, path: &str, opener: &dyn InputOpener) -> Option<Arc<dyn LoadedFile>> {
        Some(Arc::new(ElfFile::open(path, opener)?))
    }
}

#[cfg(test)]
mod library_search;
