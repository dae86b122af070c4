//! What a file is, by its first bytes.

use crate::linker_script::looks_like_script;

/// An object format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    /// The format of Linux and most other systems of Unix's kind.
    Elf,
    /// The format of Apple's systems.
    MachO,
}

impl Format {
    /// An object of the format, for messages.
    #[must_use]
    pub fn object_name(self) -> &'static str {
        match self {
            Self::Elf => "an ELF object",
            Self::MachO => "a Mach-O object",
        }
    }
}

/// What the first bytes of a file say.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Signature {
    /// There are none.
    Empty,
    /// A file of an object format: an object, a shared library, a program.
    Of(Format),
    /// Files for several CPUs in one, of Apple's systems.
    Universal,
    /// A class of Java, which has the same mark.
    JavaClass,
    /// A static archive, ordinary or thin.
    Archive,
    /// LLVM's internal code, plain or wrapped.
    Bitcode,
    /// An object for Windows.
    Coff,
    /// A program or DLL for Windows.
    WindowsProgram,
    /// A module of WebAssembly.
    WebAssembly,
    /// Compressed by gzip.
    Gzip,
    /// A zip archive.
    Zip,
    /// Compressed by xz.
    Xz,
    /// A text that names its interpreter.
    InterpretedScript,
    /// A document in PDF.
    Pdf,
    /// Another text: perhaps a linker script.
    Text,
    /// Nothing known.
    Unknown,
}

/// Bytes of a COFF object's header.
const COFF_HEADER: usize = 20;

impl Signature {
    /// Looks at the first bytes of a file.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match bytes {
            [] => Self::Empty,
            [0x7f, b'E', b'L', b'F', ..] => Self::Of(Format::Elf),
            [b'!', b'<', b'a' | b't', ..] => Self::Archive,
            [b'B', b'C', 0xc0, 0xde, ..] | [0xde, 0xc0, 0x17, 0x0b, ..] => Self::Bitcode,
            [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] | [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..] => {
                Self::Of(Format::MachO)
            }
            // A number of files here, the version of the class there, which has been above 44 ever since.
            [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 0..=44, ..] | [0xca, 0xfe, 0xba, 0xbf, ..] => {
                Self::Universal
            }
            [0xca, 0xfe, 0xba, 0xbe, ..] => Self::JavaClass,
            [b'M', b'Z', ..] => Self::WindowsProgram,
            [0, b'a', b's', b'm', ..] => Self::WebAssembly,
            // The machine (x86-64, x86, ARM64; or 0 and 0xffff for `/bigobj`), then small numbers.
            [0x64, 0x86, ..] | [0x4c, 0x01, ..] | [0x64, 0xaa, ..] | [0, 0, 0xff, 0xff, ..]
                if bytes.len() >= COFF_HEADER =>
            {
                Self::Coff
            }
            [0x1f, 0x8b, ..] => Self::Gzip,
            [b'P', b'K', 3, 4, ..] => Self::Zip,
            [0xfd, b'7', b'z', b'X', b'Z', ..] => Self::Xz,
            [b'#', b'!', ..] => Self::InterpretedScript,
            [b'%', b'P', b'D', b'F', ..] => Self::Pdf,
            _ if looks_like_script(bytes) => Self::Text,
            _ => Self::Unknown,
        }
    }

    /// What such a file is and what to do, where nothing reads it and `needed` is linked, as in "an ELF
    /// object".
    #[must_use]
    pub fn refusal(self, needed: &str) -> String {
        let for_elsewhere = match self {
            Self::Of(Format::Elf) => "is an ELF file (Linux)",
            Self::Of(Format::MachO) => "is a Mach-O file (macOS)",
            Self::Universal => "is a universal file (macOS)",
            Self::JavaClass => "is a Java class",
            Self::WindowsProgram => "is a Windows program or DLL",
            Self::WebAssembly => {
                return format!(
                    "is a WebAssembly module; {needed} is needed here: compile for x86-64 Linux"
                );
            }
            Self::Coff => {
                return format!(
                    "is a COFF object (Windows); {needed} is needed here: compile for x86-64 Linux"
                );
            }
            Self::Empty => return "is empty".to_owned(),
            Self::Gzip => return "is compressed (gzip): unpack it".to_owned(),
            Self::Zip => return "is a zip archive: unpack it".to_owned(),
            Self::Xz => return "is compressed (xz): unpack it".to_owned(),
            Self::InterpretedScript => {
                return "is a script for an interpreter: run it directly".to_owned();
            }
            Self::Pdf => return "is a PDF document".to_owned(),
            Self::Archive | Self::Bitcode | Self::Text | Self::Unknown => {
                return "is no object, archive, library or linker script".to_owned();
            }
        };
        format!("{for_elsewhere}; {needed} is needed here")
    }
}

/// What a file is to a linker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FileKind {
    /// A relocatable object of a format that is read.
    Object(Format),
    /// A shared library (or a program that could be one, which its reader refuses).
    SharedLibrary(Format),
    /// A static archive, ordinary or thin.
    Archive,
    /// LLVM's internal code, which whoever reads objects refuses, with what to do.
    Bitcode,
    /// Text: perhaps a linker script.
    Text,
    /// A library of another system, for all that it has the process has its own: naming it adds nothing.
    OfHost,
    /// Something that is not linked: what it is and what to do.
    Refused(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_say_what_a_file_is() {
        let cases: [(&[u8], Signature); 14] = [
            (b"", Signature::Empty),
            (b"\x7fELF\x02", Signature::Of(Format::Elf)),
            (b"\xcf\xfa\xed\xfe", Signature::Of(Format::MachO)),
            (b"\xfe\xed\xfa\xce", Signature::Of(Format::MachO)),
            (b"\xca\xfe\xba\xbe\0\0\0\x02", Signature::Universal),
            (b"\xca\xfe\xba\xbf\0\0\0\x02", Signature::Universal),
            (b"\xca\xfe\xba\xbe\0\0\0\x34", Signature::JavaClass),
            (b"!<thin>\n", Signature::Archive),
            (b"BC\xc0\xde", Signature::Bitcode),
            (b"\0asm", Signature::WebAssembly),
            (b"d\x86", Signature::Unknown),
            (&[0x64; 2], Signature::Text),
            (b"#!/bin/sh", Signature::InterpretedScript),
            (b"GROUP(a.so)", Signature::Text),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Signature::of(bytes), expected, "{bytes:?}");
        }
        let coff = [&[0x64, 0x86][..], &[0; 18]].concat();
        assert_eq!(Signature::of(&coff), Signature::Coff);
    }

    #[test]
    fn what_is_not_read_is_told_with_what_is() {
        let refusal = Signature::Of(Format::MachO).refusal(Format::Elf.object_name());
        assert_eq!(
            refusal,
            "is a Mach-O file (macOS); an ELF object is needed here"
        );
    }
}
