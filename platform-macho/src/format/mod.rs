//! Mach-O, as whoever reads inputs asks for it.

mod linker_options;
mod universal;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use jit_core::cpu::Architecture;
use jit_core::graph::InputBytes;
use jit_core::name::NameTable;
use jit_core::native::NativeLibrary;
use jit_core::object::{ObjectError, ObjectFile};
use object::LittleEndian as LE;
use object::macho::{self, MachHeader64};
use object::read::macho::MachHeader as _;
use orc_inputs::file_kind::{FileKind, Format};
use orc_inputs::format::{LibraryError, LibraryOrigin, LoadedFile, NoPart, ObjectFormat, Wish};
use orc_inputs::input::InputOpener;
use orc_inputs::wrapped::WrappedNames;

use crate::machine::Machine;
use crate::object::MachObject;
use crate::object::interface::plain_name;
use crate::platform::Host;
use crate::shared_library;

pub(crate) use self::universal::is_authenticated;

/// What 64-bit little-endian files begin with.
const MAGIC: &[u8] = &macho::MH_MAGIC_64.to_le_bytes();

/// The format Mach-O, for programs on a host.
#[derive(Clone, Copy)]
pub struct MachO {
    host: &'static Host,
}

impl MachO {
    /// Reads objects for programs on `host`.
    #[must_use]
    pub fn on(host: &'static Host) -> Self {
        Self { host }
    }
}

impl ObjectFormat for MachO {
    fn format(&self) -> Format {
        Format::MachO
    }

    fn kind_of(&self, bytes: &[u8]) -> FileKind {
        let refused = match MachHeader64::<LE>::parse(bytes, 0) {
            Ok(header) if header.is_little_endian() => match header.filetype(LE) {
                macho::MH_OBJECT => return FileKind::Object(Format::MachO),
                macho::MH_DYLIB | macho::MH_DYLIB_STUB => {
                    return shared_library::kind_of(bytes, self.host.stands_for);
                }
                macho::MH_EXECUTE => "is a linked executable for macOS: link its objects",
                macho::MH_BUNDLE => "is a plugin for macOS, which no process here can load",
                _ => "is a Mach-O file of an unknown type",
            },
            Err(_) if bytes.starts_with(MAGIC) => "is cut off within its Mach-O header",
            _ => "is a Mach-O file for a 32-bit or big-endian CPU: compile for x86-64 or arm64",
        };
        FileKind::Refused(refused.to_owned())
    }

    fn kind_of_text(&self, text: &[u8]) -> Option<FileKind> {
        shared_library::is_text_stub(text)
            .then(|| shared_library::kind_of(text, self.host.stands_for))
    }

    fn is_foreign(&self, bytes: &[u8], architecture: Architecture) -> bool {
        let Ok(header) = MachHeader64::<LE>::parse(bytes, 0) else {
            return true;
        };
        let machine = Machine::of(header.cputype(LE));
        machine.is_none_or(|machine| machine.architecture != architecture)
    }

    fn part_for(
        &self,
        bytes: &[u8],
        architecture: Architecture,
    ) -> Option<Result<Range<usize>, NoPart>> {
        Some(universal::part_for(bytes, architecture))
    }

    fn library_suffixes(&self) -> &'static [&'static str] {
        // No process here loads libraries for macOS, so none are looked for.
        &[]
    }

    fn foreign_suffixes(&self) -> &'static [&'static str] {
        &[".tbd", ".dylib"]
    }

    fn default_version(&self, _: &[u8]) -> Option<usize> {
        None
    }

    fn plain_name<'a>(&self, name: &'a [u8]) -> &'a [u8] {
        plain_name(name)
    }

    fn object(
        &self,
        name: String,
        input: Arc<dyn InputBytes>,
        names: &Arc<NameTable>,
        wrapped: &WrappedNames,
    ) -> Result<Arc<dyn ObjectFile>, ObjectError> {
        let object = MachObject::new(name, input, names, wrapped, self.host)?;
        Ok(Arc::new(object))
    }

    fn wishes(&self, object: &[u8]) -> Result<Vec<Wish>, String> {
        linker_options::read(object)
    }

    fn shared_library(
        &self,
        path: &Path,
        _: Arc<dyn InputBytes>,
        _: LibraryOrigin,
    ) -> Result<Arc<dyn NativeLibrary>, LibraryError> {
        Err(LibraryError {
            path: path.display().to_string(),
            message: "is a library for macOS, which no process here can load".to_owned(),
        })
    }

    fn loaded_file(&self, _: &str, _: &dyn InputOpener) -> Option<Arc<dyn LoadedFile>> {
        None
    }
}

/// Reads arbitrary bytes as a library of macOS: the entry of the fuzz target. Never panics.
pub fn fuzz_library(bytes: &[u8]) {
    let read = shared_library::kind_of(bytes, |_| false);
    assert!(
        matches!(read, FileKind::Refused(_)),
        "nothing stands for it, so it is refused with what it is"
    );
}
