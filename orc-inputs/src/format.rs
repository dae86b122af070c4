//! What depends on the object format of inputs, as questions to whoever reads that format.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use jit_core::cpu::Architecture;
use jit_core::graph::InputBytes;
use jit_core::name::NameTable;
use jit_core::native::NativeLibrary;
use jit_core::object::{ObjectError, ObjectFile};
use jit_core::symbolize::CodeFile;
use orc_shared::{printable, printable_text};

use crate::file_kind::{FileKind, Format, Signature};
use crate::input::{InputOpener, InputPart};
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

/// Why a universal file has no file for a CPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoPart {
    /// Whether it is right, and has files for other CPUs alone: a search for libraries passes it over.
    pub is_foreign: bool,
    /// What is wrong, and what it has.
    pub message: String,
}

/// What an object asks its linker for, so that nobody has to name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Wish {
    /// A library, as `-lNAME` does.
    Library(String),
    /// A framework of macOS, by its name.
    Framework(String),
    /// Another option, as it is spelled.
    Option(String),
}

/// How a shared library came to a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LibraryOrigin {
    /// The library's path was given: a program needs it by its own name, or by that path.
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

    /// What a text of this format's systems is; `None` for others.
    fn kind_of_text(&self, text: &[u8]) -> Option<FileKind> {
        let _ = text;
        None
    }

    /// Whether a file of this format is for another CPU, so that a search for libraries passes it over.
    fn is_foreign(&self, bytes: &[u8], architecture: Architecture) -> bool;

    /// Where in a universal file of this format's systems the file for a CPU is; `None` if the format has no such
    /// files.
    ///
    /// # Errors
    /// When it has none for that CPU, saying which it has; when it is damaged.
    fn part_for(
        &self,
        bytes: &[u8],
        architecture: Architecture,
    ) -> Option<Result<Range<usize>, NoPart>> {
        let _ = (bytes, architecture);
        None
    }

    /// What shared libraries' names end with (`.so`), in the order in which they are looked for.
    fn library_suffixes(&self) -> &'static [&'static str];

    /// What libraries' names end with that no process can load. They are looked for last, for what they say.
    fn foreign_suffixes(&self) -> &'static [&'static str] {
        &[]
    }

    /// Where in an archive's index the mark of a default version begins, if `name` has one: such a symbol is
    /// found without the version, too.
    fn default_version(&self, name: &[u8]) -> Option<usize>;

    /// A name of a symbol of C as C has it: some formats put something in front of it. The same as in the
    /// interfaces of objects.
    fn plain_name<'a>(&self, name: &'a [u8]) -> &'a [u8] {
        name
    }

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

    /// What an object asks its linker for.
    ///
    /// # Errors
    /// When the object is damaged.
    fn wishes(&self, object: &[u8]) -> Result<Vec<Wish>, String> {
        let _ = object;
        Ok(Vec::new())
    }

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
            Signature::Text => {
                let mut kinds = self.0.iter().filter_map(|it| it.kind_of_text(bytes));
                kinds.next().unwrap_or(FileKind::Text)
            }
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

    /// The file for a CPU, if `input` is a universal file; else `input`.
    ///
    /// # Errors
    /// When there is none for that CPU, or the file is damaged.
    pub fn part_for(
        &self,
        input: Arc<dyn InputBytes>,
        architecture: Architecture,
    ) -> Result<Arc<dyn InputBytes>, NoPart> {
        let bytes = input.bytes();
        if Signature::of(bytes) != Signature::Universal {
            return Ok(input);
        }
        let mut readers = self.0.iter();
        let Some(range) = readers.find_map(|it| it.part_for(bytes, architecture)) else {
            return Ok(input);
        };
        let part = InputPart::new(Arc::clone(&input), range?);
        let part = part.ok_or_else(|| NoPart {
            is_foreign: false,
            message: "internal error: a part that is not in its file".to_owned(),
        })?;
        Ok(Arc::new(part))
    }

    /// What shared libraries' names end with.
    pub fn library_suffixes(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().flat_map(|it| it.library_suffixes()).copied()
    }

    /// What libraries' names end with that no process can load.
    pub fn foreign_suffixes(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().flat_map(|it| it.foreign_suffixes()).copied()
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

    /// As [`ObjectFormat::wishes`].
    ///
    /// # Errors
    /// Those of the format that the bytes are of.
    pub fn wishes(&self, object: &[u8]) -> Result<Vec<Wish>, String> {
        self.reader_of(object).wishes(object)
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

    /// The format of a file, if it is one that is read.
    #[must_use]
    pub fn of(&self, bytes: &[u8]) -> Option<&dyn ObjectFormat> {
        self.reader(Signature::of(bytes))
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
    /// The CPU that is meant where a file is for several.
    pub architecture: Architecture,
}

impl ReadObjects {
    /// Without wrapped symbols, for this process's CPU.
    #[must_use]
    pub fn new(formats: Formats, names: &Arc<NameTable>) -> Self {
        let own = Architecture::of_this_process();
        Self {
            formats,
            names: names.clone(),
            wrapped: Arc::default(),
            architecture: own.unwrap_or(Architecture::X86_64),
        }
    }

    /// The file for the CPU that is meant, if `input` is for several. `name` is for messages.
    ///
    /// # Errors
    /// As [`Formats::part_for`].
    pub fn part(
        &self,
        name: &str,
        input: Arc<dyn InputBytes>,
    ) -> Result<Arc<dyn InputBytes>, ObjectError> {
        let part = self.formats.part_for(input, self.architecture);
        part.map_err(|no_part| ObjectError {
            object: printable_text(name.as_bytes()),
            message: no_part.message,
        })
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
        let name = name.into();
        let input = self.part(&name, input)?;
        let formats = &self.formats;
        formats.object(name, input, &self.names, &self.wrapped)
    }
}

#[cfg(test)]
mod tests {
    use jit_core::object::LazyObjects as _;

    use super::*;
    use crate::archive::Archive;
    use crate::input::OwnedBytes;

    /// A format whose objects cannot be read, and say so in its name.
    struct Named(Format, &'static [&'static str]);

    impl ObjectFormat for Named {
        fn format(&self) -> Format {
            self.0
        }

        fn kind_of(&self, _: &[u8]) -> FileKind {
            FileKind::Object(self.0)
        }

        fn is_foreign(&self, _: &[u8], _: Architecture) -> bool {
            true
        }

        fn library_suffixes(&self) -> &'static [&'static str] {
            self.1
        }

        fn default_version(&self, name: &[u8]) -> Option<usize> {
            let marks = self.0 == Format::Elf && name.ends_with(b"@@V");
            marks.then(|| name.len() - 3)
        }

        fn object(
            &self,
            name: String,
            _: Arc<dyn InputBytes>,
            _: &Arc<NameTable>,
            _: &WrappedNames,
        ) -> Result<Arc<dyn ObjectFile>, ObjectError> {
            Err(ObjectError {
                object: name,
                message: self.0.object_name().to_owned(),
            })
        }

        fn shared_library(
            &self,
            path: &Path,
            _: Arc<dyn InputBytes>,
            _: LibraryOrigin,
        ) -> Result<Arc<dyn NativeLibrary>, LibraryError> {
            Err(LibraryError {
                path: path.display().to_string(),
                message: self.0.object_name().to_owned(),
            })
        }

        fn loaded_file(&self, _: &str, _: &dyn InputOpener) -> Option<Arc<dyn LoadedFile>> {
            None
        }
    }

    const ELF: &[u8] = b"\x7fELF\x02\x01";
    const MACH_O: &[u8] = b"\xcf\xfa\xed\xfe\x07\0";

    fn elf() -> Arc<dyn ObjectFormat> {
        Arc::new(Named(Format::Elf, &[".so"]))
    }

    fn mach_o() -> Arc<dyn ObjectFormat> {
        Arc::new(Named(Format::MachO, &[".tbd", ".dylib"]))
    }

    fn bytes(content: &[u8]) -> Arc<dyn InputBytes> {
        Arc::new(OwnedBytes::from(content.to_vec()))
    }

    #[test]
    fn each_file_is_read_by_its_own_format() {
        let formats = Formats::new(elf(), &[mach_o()]);
        assert_eq!(formats.kind_of(ELF), FileKind::Object(Format::Elf));
        assert_eq!(formats.kind_of(MACH_O), FileKind::Object(Format::MachO));
        assert_eq!(formats.kind_of(b"!<arch>\n"), FileKind::Archive);
        let objects = ReadObjects::new(formats.clone(), &Arc::default());
        let read = |content| objects.object("a.o", bytes(content)).err();
        let message = |content| read(content).expect("none is read").message;
        assert_eq!(message(ELF), "an ELF object");
        assert_eq!(message(MACH_O), "a Mach-O object");
        assert_eq!(message(b"text"), "an ELF object", "the first one answers");
        let suffixes: Vec<&str> = formats.library_suffixes().collect();
        assert_eq!(suffixes, [".so", ".tbd", ".dylib"]);
        assert_eq!(formats.default_version(b"f@@V"), Some(1));
    }

    #[test]
    fn formats_that_are_not_read_are_refused_by_name() {
        let refused = |formats: Formats, content: &[u8]| match formats.kind_of(content) {
            FileKind::Refused(message) => message,
            kind => panic!("{kind:?}"),
        };
        let one = refused(Formats::new(elf(), &[]), MACH_O);
        assert_eq!(
            one,
            "is a Mach-O file (macOS); an ELF object is needed here"
        );
        let other = refused(Formats::new(mach_o(), &[]), ELF);
        assert_eq!(
            other,
            "is an ELF file (Linux); a Mach-O object is needed here"
        );
        let both = refused(Formats::new(elf(), &[mach_o()]), b"MZ");
        assert!(both.ends_with("an ELF object or a Mach-O object is needed here"));
    }

    #[test]
    fn members_of_one_archive_may_be_of_several_formats() {
        let mut archive = b"!<arch>\n".to_vec();
        for (name, content) in [("a.o/", ELF), ("b.o/", MACH_O)] {
            let size = content.len();
            let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644);
            archive.extend(header.bytes());
            archive.extend(content);
        }
        let objects = ReadObjects::new(Formats::new(elf(), &[mach_o()]), &Arc::default());
        let archive = Archive::new("lib.a", bytes(&archive), &objects).expect("an archive");
        let message = |member| {
            archive
                .load(member)
                .err()
                .expect("none is read")
                .to_string()
        };
        assert_eq!(message(0), "lib.a(a.o): an ELF object");
        assert_eq!(message(1), "lib.a(b.o): a Mach-O object");
    }
}
