//! What a file is, by its first bytes.

use object::elf;

use crate::linker_script::looks_like_script;
use jit_core::cpu::Architecture;

use crate::machine::Machine;

/// What a linker can do with a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileKind {
    /// A relocatable ELF object.
    Object,
    /// A static archive, ordinary or thin.
    Archive,
    /// An ELF shared library (or a position-independent executable, which the reader refuses).
    SharedLibrary,
    /// Text: perhaps a linker script.
    Text,
    /// Something else: what it is and what to do.
    Unusable(&'static str),
}

impl FileKind {
    /// Classifies a file by its content.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match bytes {
            [] => Self::Unusable("is empty"),
            [0x7f, b'E', b'L', b'F', ..] => elf_kind(bytes),
            [b'!', b'<', b'a' | b't', ..] => Self::Archive,
            // Who reads objects says what is to be done with bitcode, plain or wrapped.
            [b'B', b'C', 0xc0, 0xde, ..] | [0xde, 0xc0, 0x17, 0x0b, ..] => Self::Object,
            [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] | [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..] => {
                Self::Unusable("is a Mach-O file (macOS); an ELF object is needed here")
            }
            [0xca, 0xfe, 0xba, 0xbe, ..] => Self::Unusable(
                "is a universal Mach-O file (macOS) or a Java class; an ELF object is needed here",
            ),
            [b'M', b'Z', ..] => {
                Self::Unusable("is a Windows program or DLL; an ELF object is needed here")
            }
            [0, b'a', b's', b'm', ..] => Self::Unusable(
                "is a WebAssembly module; an ELF object is needed here: compile for x86-64 Linux",
            ),
            // The machine (x86-64, x86, ARM64; or 0 and 0xffff for `/bigobj`), then small numbers.
            [0x64, 0x86, ..] | [0x4c, 0x01, ..] | [0x64, 0xaa, ..] | [0, 0, 0xff, 0xff, ..]
                if bytes.len() >= COFF_HEADER =>
            {
                Self::Unusable(
                    "is a COFF object (Windows); an ELF object is needed here: compile for x86-64 Linux",
                )
            }
            [0x1f, 0x8b, ..] => Self::Unusable("is compressed (gzip): unpack it"),
            [b'P', b'K', 3, 4, ..] => Self::Unusable("is a zip archive: unpack it"),
            [0xfd, b'7', b'z', b'X', b'Z', ..] => Self::Unusable("is compressed (xz): unpack it"),
            [b'#', b'!', ..] => Self::Unusable("is a script for an interpreter: run it directly"),
            [b'%', b'P', b'D', b'F', ..] => Self::Unusable("is a PDF document"),
            _ if looks_like_script(bytes) => Self::Text,
            _ => Self::Unusable("is no object, archive, library or linker script"),
        }
    }
}

/// Bytes of a COFF object's header.
const COFF_HEADER: usize = 20;

fn elf_kind(bytes: &[u8]) -> FileKind {
    // `e_type` stands at the same place in every class; 64-bit big-endian files are refused later
    // by the readers, with a better message.
    let e_type = match (bytes.get(5), bytes.get(16), bytes.get(17)) {
        (Some(2), Some(high), Some(low)) | (_, Some(low), Some(high)) => {
            u16::from_le_bytes([*low, *high])
        }
        _ => return FileKind::Unusable("is cut off within its ELF header"),
    };
    match elf::FileType(e_type) {
        elf::ET_REL => FileKind::Object,
        elf::ET_DYN => FileKind::SharedLibrary,
        elf::ET_EXEC => FileKind::Unusable("is a linked executable: run it directly"),
        elf::ET_CORE => FileKind::Unusable("is a core dump"),
        _ => FileKind::Unusable("is an ELF file of an unknown type"),
    }
}

/// Whether this is an ELF file of another class or for another CPU, which a library search passes over.
pub(super) fn is_foreign(bytes: &[u8], architecture: Architecture) -> bool {
    if !bytes.starts_with(&elf::ELFMAG) || bytes.len() < 20 {
        return false;
    }
    let machine = u16::from_le_bytes([bytes[18], bytes[19]]);
    bytes[4] != elf::ELFCLASS64.0
        || bytes[5] != elf::ELFDATA2LSB.0
        || machine != Machine::with(architecture).number.0
}
