//! Says what a file is that is not a relocatable object for this machine, and what to do about it.

use object::LittleEndian as LE;
use object::elf::{
    self, ELFCLASS32, ELFCLASS64, ELFDATA2LSB, ET_CORE, ET_DYN, ET_EXEC, ET_REL, FileHeader64,
    PT_INTERP,
};
use object::read::elf::{FileHeader, ProgramHeader};

use crate::machine::Machine;

/// What can be linked, for messages.
const LINKED: &str = "only x86-64 and AArch64 objects can be linked";

/// Checks that `bytes` are a relocatable object for a machine that can be linked for, and says which.
///
/// # Errors
/// What the file is instead, and what to do.
pub(super) fn check(bytes: &[u8]) -> Result<(&FileHeader64<LE>, &'static Machine), String> {
    if !bytes.starts_with(b"\x7fELF") {
        return Err(foreign(bytes).to_owned());
    }
    let Some(ident) = bytes.get(..16) else {
        return Err("the file ends within the ELF header: it is truncated".to_owned());
    };
    check_ident(ident, bytes)?;
    let Ok(header) = FileHeader64::<LE>::parse(bytes) else {
        return Err("the ELF header is truncated or has an unknown version".to_owned());
    };
    let Some(machine) = Machine::of(header.e_machine(LE)) else {
        return Err(format!(
            "is {} object, {LINKED}: compile it for this machine",
            machine_name(header.e_machine(LE)),
        ));
    };
    check_type(header, bytes)?;
    Ok((header, machine))
}

/// Class and byte order; a 32-bit file's machine still lies at the same place.
fn check_ident(ident: &[u8], bytes: &[u8]) -> Result<(), String> {
    let little = ident[5] == ELFDATA2LSB.0;
    let machine = bytes.get(18..20).map(|m| {
        let m = [m[0], m[1]];
        elf::Machine(if little {
            u16::from_le_bytes(m)
        } else {
            u16::from_be_bytes(m)
        })
    });
    if ident[4] == ELFCLASS32.0 {
        let what = match machine {
            Some(elf::EM_X86_64) => "an x32",
            Some(machine) => machine_name(machine),
            None => "a 32-bit",
        };
        return Err(format!(
            "is {what} object (32-bit), {LINKED}: compile it with -m64"
        ));
    }
    if ident[4] != ELFCLASS64.0 {
        return Err(format!(
            "has the unknown ELF class {}: the file is damaged",
            ident[4]
        ));
    }
    if !little {
        return Err(format!(
            "is {} object (big-endian), {LINKED}: compile it for this machine",
            machine.map_or("a foreign", machine_name)
        ));
    }
    Ok(())
}

fn check_type(header: &FileHeader64<LE>, bytes: &[u8]) -> Result<(), String> {
    match header.e_type(LE) {
        ET_REL => Ok(()),
        ET_EXEC => {
            Err("is an executable, not an object: add the objects it was linked from".into())
        }
        ET_DYN => {
            let segments = header.program_headers(LE, bytes).unwrap_or(&[]);
            Err(if segments.iter().any(|s| s.p_type(LE) == PT_INTERP) {
                "is a (position-independent) executable, not an object: add the objects it was linked from"
            } else {
                "is a shared library, not an object: add it as a library"
            }
            .into())
        }
        ET_CORE => Err("is a core dump, not an object".into()),
        other => Err(format!(
            "has the unknown ELF type {}: not an object",
            other.0
        )),
    }
}

/// What a file without the ELF magic number is.
fn foreign(bytes: &[u8]) -> &'static str {
    const MACH_O: [[u8; 4]; 6] = [
        [0xfe, 0xed, 0xfa, 0xce],
        [0xfe, 0xed, 0xfa, 0xcf],
        [0xce, 0xfa, 0xed, 0xfe],
        [0xcf, 0xfa, 0xed, 0xfe],
        [0xca, 0xfe, 0xba, 0xbe],
        [0xbe, 0xba, 0xfe, 0xca],
    ];
    if bytes.is_empty() {
        "is empty, not an object"
    } else if bytes.starts_with(b"BC\xc0\xde") || bytes.starts_with(&[0xde, 0xc0, 0x17, 0x0b]) {
        "is LLVM bitcode (clang -flto, rustc -C linker-plugin-lto), not machine code: compile without -flto"
    } else if bytes.starts_with(b"!<arch>\n") || bytes.starts_with(b"!<thin>\n") {
        "is an archive, not an object: add it as an archive"
    } else if MACH_O.iter().any(|magic| bytes.starts_with(magic)) {
        "is a Mach-O file, not an ELF object: compile it for Linux"
    } else if bytes.starts_with(b"\0asm") {
        "is WebAssembly, not an ELF object: compile it for this machine"
    } else if bytes.starts_with(b"MZ") || bytes.starts_with(&[0x64, 0x86]) {
        "is a Windows (COFF) file, not an ELF object: compile it for Linux"
    } else if b"\x7fELF".starts_with(bytes) {
        "the file ends within the ELF header: it is truncated"
    } else if is_text(bytes) {
        "is a text file, not an ELF object"
    } else {
        "is not an ELF object: its first bytes are those of no known format"
    }
}

fn is_text(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .take(256)
        .all(|b| matches!(b, b'\t' | b'\n' | b'\r' | b' '..=b'~' | 0x80..))
}

/// The machine's name with its article, for "is … object".
fn machine_name(machine: elf::Machine) -> &'static str {
    match machine {
        elf::EM_X86_64 => "an x86-64",
        elf::EM_386 => "an i386",
        elf::EM_AARCH64 => "an AArch64",
        elf::EM_ARM => "an ARM",
        elf::EM_RISCV => "a RISC-V",
        elf::EM_PPC64 => "a PowerPC64",
        elf::EM_PPC => "a PowerPC",
        elf::EM_S390 => "an s390x",
        elf::EM_MIPS => "a MIPS",
        elf::EM_LOONGARCH => "a LoongArch",
        elf::EM_SPARCV9 => "a SPARC",
        elf::EM_BPF => "a BPF",
        _ => "a foreign machine's",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(class: u8, data: u8, kind: u16, machine: u16) -> Vec<u8> {
        let mut h = vec![0u8; 64];
        h[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, data, 1]);
        let put = |h: &mut Vec<u8>, at: usize, v: u16| {
            let v = if data == 1 {
                v.to_le_bytes()
            } else {
                v.to_be_bytes()
            };
            h[at..at + 2].copy_from_slice(&v);
        };
        put(&mut h, 16, kind);
        put(&mut h, 18, machine);
        h[20] = 1;
        put(&mut h, 52, 64);
        h
    }

    #[test]
    fn says_what_it_found_and_what_to_do() {
        let cases: [(Vec<u8>, &str); 11] = [
            (
                header(2, 1, 1, 243),
                "is a RISC-V object, only x86-64 and AArch64 objects can be linked",
            ),
            (header(1, 1, 1, 3), "is an i386 object (32-bit)"),
            (header(1, 1, 1, 62), "is an x32 object (32-bit)"),
            (header(2, 2, 1, 22), "is an s390x object (big-endian)"),
            (header(2, 1, 2, 62), "is an executable"),
            (header(2, 1, 3, 62), "is a shared library"),
            (header(2, 1, 4, 62), "is a core dump"),
            (b"BC\xc0\xde1234".to_vec(), "compile without -flto"),
            (b"!<arch>\n".to_vec(), "add it as an archive"),
            (b"\x7fEL".to_vec(), "truncated"),
            (b"int main;\n".to_vec(), "is a text file"),
        ];
        for (bytes, expected) in cases {
            let message = check(&bytes).expect_err(expected);
            assert!(message.contains(expected), "{message} lacks {expected}");
        }
        assert!(check(&header(2, 1, 1, 62)).is_ok());
        assert!(check(&header(2, 1, 1, 183)).is_ok());
    }
}
