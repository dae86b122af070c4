//! What depends on the object format of inputs, as questions to whoever reads that format.

use std::path::Path;
use std::sync::Arc;

use jit_core::cpu::Architecture;
use jit_core::graph::InputBytes;
use jit_core::name::NameTable;
use jit_core::native::NativeLibrary;
use jit_core::object::{ObjectError, ObjectFile};
use jit_core::symbolize::CodeFile;
use orc_shared::printable;

use crate::file_kind::{FileKind, Format, Signature};
use crate::input::InputOpener;
use crate::wrapped::WrappedNames;

/// Why a file cannot be used as a shared library.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {message}", printable(path.as_bytes()))]
pub struct LibraryError {
    /// The file's path.
    pub path: String,
    /// What is wrong with it, and what to do.
    pub message: String,
}

/// How a shared library came to a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LibraryOrigin {
    /// Its path was given: a program needs it by its own name, or by that path.
    Named,
    /// `-lNAME` found it: a program needs it by its own name, or by its file name.
    Found,
    /// The process has loaded it. It may be the process's executable, which nobody else can load.
    Loaded,
}

/// A program or library whose code the system's loader has put into a process.
pub trait LoadedFile: CodeFile {
    /// The address that the file gives to what is `offset` bytes from its beginning; `None` if that is not
    /// loaded.
    fn address_of(&self, offset: u64) -> Option<u64>;
}

/// Reads one object format.
pub trait ObjectFormat: Send + Sync {
    /// Which one.
    fn format(&self) -> Format;

    /// What a file of this format is.
    fn kind_of(&self, bytes: &[u8]) -> FileKind;

    /// Whether a file of this format is for another CPU, so that a search for libraries passes it over.
    fn is_foreign(&self, bytes: &[u8], architecture: Architecture) -> bool;

    /// What shared libraries' names end with (`.so`), in the order in which they are looked for.
    fn library_suffixes(&self) -> &'static [&'static str];

    /// Where in an archive's index the mark of a default version begins, if `name` has one: such a symbol is
    /// found without the version, too.
    fn default_version(&self, name: &[u8]) -> Option<usize>;

    /// Reads the symbol table of the relocatable object that `input` holds. `name` is for messages.
    ///
    /// # Errors
    /// When it is none for a CPU that can be linked for: what it is, and what to do.
    fn object(
        &self,
        name: String,
        input: Arc<dyn InputBytes>,
        names: &Arc<NameTable>,
        wrapped: &WrappedNames,
    ) -> Result<Arc<dyn ObjectFile>, ObjectError>;

    /// The shared library that `input`, the file at `path`, holds.
    ///
    /// # Errors
    /// When it is none, or a program and not the one that the process runs.
    fn shared_library(
        &self,
        path: &Path,
        input: Arc<dyn InputBytes>,
        origin: LibraryOrigin,
    ) -> Result<Arc<dyn NativeLibrary>, LibraryError>;

    /// The file at `path` as a source of names for code that was loaded from it, with what was split from
    /// it; `None` if it cannot be read.
    fn loaded_file(&self, path: &str, opener: &dyn InputOpener) -> Option<Arc<dyn LoadedFile>>;
}

/// The formats that a session reads, at least one. The first one says what is wrong with files of none.
#[derive(Clone)]
pub struct Formats(Arc<[Arc<dyn ObjectFormat>]>);

impl Formats {
    /// These formats.
    #[must_use]
    pub fn new(first: Arc<dyn ObjectFormat>, others: &[Arc<dyn ObjectFormat>]) -> Self {
        let all = std::iter::once(first).chain(others.iter().cloned());
        Self(all.collect())
    }

    /// What a file is.
    #[must_use]
    pub fn kind_of(&self, bytes: &[u8]) -> FileKind {
        match Signature::of(bytes) {
            Signature::Archive => FileKind::Archive,
            Signature::Bitcode => FileKind::Bitcode,
            Signature::Text => FileKind::Text,
            signature => match self.reader(signature) {
                Some(reader) => reader.kind_of(bytes),
                None => FileKind::Refused(signature.refusal(&self.needed())),
            },
        }
    }

    /// Whether a search for libraries passes this file over, as one for another CPU.
    #[must_use]
    pub fn is_foreign(&self, bytes: &[u8], architecture: Architecture) -> bool {
        let reader = self.reader(Signature::of(bytes));
        reader.is_some_and(|reader| reader.is_foreign(bytes, architecture))
    }

    /// What shared libraries' names end with.
    pub fn library_suffixes(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().flat_map(|it| it.library_suffixes()).copied()
    }

    /// As [`ObjectFormat::default_version`].
    #[must_use]
    pub fn default_version(&self, name: &[u8]) -> Option<usize> {
        self.0.iter().find_map(|it| it.default_version(name))
    }

    /// As [`ObjectFormat::object`].
    ///
    /// # Errors
    /// Those of the format that the bytes are of.
    pub fn object(
        &self,
        name: String,
        input: Arc<dyn InputBytes>,
        names: &Arc<NameTable>,
        wrapped: &WrappedNames,
    ) -> Result<Arc<dyn ObjectFile>, ObjectError> {
        let reader = self.reader_of(input.bytes());
        reader.object(name, input, names, wrapped)
    }

    /// As [`ObjectFormat::shared_library`].
    ///
    /// # Errors
    /// Those of the format that the bytes are of.
    pub fn shared_library(
        &self,
        path: &Path,
        input: Arc<dyn InputBytes>,
        origin: LibraryOrigin,
    ) -> Result<Arc<dyn NativeLibrary>, LibraryError> {
        let reader = self.reader_of(input.bytes());
        reader.shared_library(path, input, origin)
    }

    /// As [`ObjectFormat::loaded_file`].
    #[must_use]
    pub fn loaded_file(&self, path: &str, opener: &dyn InputOpener) -> Option<Arc<dyn LoadedFile>> {
        self.0.iter().find_map(|it| it.loaded_file(path, opener))
    }

    /// Who reads files with these first bytes.
    fn reader(&self, signature: Signature) -> Option<&dyn ObjectFormat> {
        let reads = |it: &&Arc<dyn ObjectFormat>| signature == Signature::Of(it.format());
        self.0.iter().find(reads).map(|it| &**it)
    }

    /// Who reads this file, or says why nobody does.
    fn reader_of(&self, bytes: &[u8]) -> &dyn ObjectFormat {
        self.reader(Signature::of(bytes)).unwrap_or(&*self.0[0])
    }

    /// What is linked, for messages.
    fn needed(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|it| it.format().object_name()).collect();
        names.join(" or ")
    }
}

/// How bytes become the objects of one session.
#[derive(Clone)]
pub struct ReadObjects {
    /// The formats that are read.
    pub formats: Formats,
    /// The session's table, which names are interned in.
    pub names: Arc<NameTable>,
    /// Symbols that are wrapped (`--wrap`).
    pub wrapped: Arc<WrappedNames>,
}

impl ReadObjects {
    /// Without wrapped symbols.
    #[must_use]
    pub fn new(formats: Formats, names: &Arc<NameTable>) -> Self {
        Self {
            formats,
            names: names.clone(),
            wrapped: Arc::default(),
        }
    }

    /// The object that `input` holds. `name` is for messages.
    ///
    /// # Errors
    /// As [`ObjectFormat::object`].
    pub fn object(
        &self,
        name: impl Into<String>,
        input: Arc<dyn InputBytes>,
    ) -> Result<Arc<dyn ObjectFile>, ObjectError> {
        let formats = &self.formats;
        formats.object(name.into(), input, &self.names, &self.wrapped)
    }
}
