//! The executable file around an image: a program of some hundred bytes that becomes this command.
//!
//! A text file that starts with `#!` would do the same with less, but the kernel then forgets the
//! name that the program was called by, cuts the line after 255 bytes, and tools that look at what
//! a linker wrote (`strip`, `install -s`, Go's) want an ELF file. So it is one, with the image in a
//! section of its own, which such tools keep.
//!
//! The file's first page is all that is mapped:
//!
//! ```text
//! ELF header, program headers, the code (`launcher_code`), the command's path
//! ```

use super::launcher_code::MACHINE;

/// The section that holds an image.
pub(super) const SECTION: &str = ".orc-jit";

/// Where the first page is mapped.
const ADDRESS: u64 = 0x40_0000;

const PAGE: usize = 4096;

const HEADER_SIZE: usize = 64;
const PROGRAM_HEADER_SIZE: usize = 56;
const SECTION_HEADER_SIZE: usize = 64;
const PROGRAM_HEADERS: usize = 2;
const CODE_AT: usize = HEADER_SIZE + PROGRAM_HEADERS * PROGRAM_HEADER_SIZE;

/// The names of sections, where the first name is empty.
const NAMES: &[u8] = b"\0.text\0.orc-jit\0.shstrtab\0";

unsafe extern "C" {
    static orc_jit_launcher_start: u8;
    static orc_jit_launcher_end: u8;
}

/// The launcher's code.
fn code() -> &'static [u8] {
    let (start, end) = (
        &raw const orc_jit_launcher_start,
        &raw const orc_jit_launcher_end,
    );
    // SAFETY: both are labels of the one section with the code, which is never written; the second one is where it ends.
    unsafe { std::slice::from_raw_parts(start, end.addr() - start.addr()) }
}

/// The start of the file, up to the image: it runs the command at `command`, a path.
pub(super) fn start(command: &[u8], image_size: u64) -> Vec<u8> {
    let mut text = code().to_vec();
    text.extend(command);
    text.push(0);
    let end = (CODE_AT + text.len()) as u64;
    let mut file = Vec::with_capacity(2 * PAGE);
    header(&mut file, end.next_multiple_of(PAGE as u64) + image_size);
    // PT_LOAD, read and execute.
    program_header(&mut file, 1, 5, ADDRESS, end, PAGE as u64);
    // PT_GNU_STACK, read and write.
    program_header(&mut file, 0x6474_e551, 6, 0, 0, 16);
    file.extend(text);
    file.resize(file.len().next_multiple_of(PAGE), 0);
    file
}

/// What follows the image, for a file with this start.
pub(super) fn end(start: &[u8], command: &[u8], image_size: u64) -> Vec<u8> {
    let text_size = (code().len() + command.len() + 1) as u64;
    let image_at = start.len() as u64;
    let names_at = image_at + image_size + 4 * SECTION_HEADER_SIZE as u64;
    let section = |name: u32, kind: u32, flags: u64, address, at, size, align| Section {
        name,
        kind,
        flags,
        address,
        at,
        size,
        align,
    };
    let text_at = CODE_AT as u64;
    let sections = [
        section(0, 0, 0, 0, 0, 0, 0),
        // SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR.
        section(1, 1, 6, ADDRESS + text_at, text_at, text_size, 1),
        section(7, 1, 0, 0, image_at, image_size, PAGE as u64),
        // SHT_STRTAB.
        section(16, 3, 0, 0, names_at, NAMES.len() as u64, 1),
    ];
    let mut file = Vec::new();
    sections.iter().for_each(|section| section.write(&mut file));
    file.extend(NAMES);
    file
}

fn header(file: &mut Vec<u8>, sections_at: u64) {
    // ELFCLASS64, ELFDATA2LSB, EV_CURRENT.
    file.extend(b"\x7fELF\x02\x01\x01");
    file.resize(16, 0);
    // ET_EXEC.
    file.extend(2u16.to_le_bytes());
    file.extend(MACHINE.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    file.extend((ADDRESS + CODE_AT as u64).to_le_bytes());
    file.extend((HEADER_SIZE as u64).to_le_bytes());
    file.extend(sections_at.to_le_bytes());
    file.extend(0u32.to_le_bytes());
    for half in [
        HEADER_SIZE,
        PROGRAM_HEADER_SIZE,
        PROGRAM_HEADERS,
        SECTION_HEADER_SIZE,
        4,
        3,
    ] {
        file.extend((half as u16).to_le_bytes());
    }
}

fn program_header(file: &mut Vec<u8>, kind: u32, flags: u32, address: u64, size: u64, align: u64) {
    file.extend(kind.to_le_bytes());
    file.extend(flags.to_le_bytes());
    for word in [0, address, address, size, size, align] {
        file.extend(word.to_le_bytes());
    }
}

struct Section {
    name: u32,
    kind: u32,
    flags: u64,
    address: u64,
    at: u64,
    size: u64,
    align: u64,
}

impl Section {
    fn write(&self, file: &mut Vec<u8>) {
        file.extend(self.name.to_le_bytes());
        file.extend(self.kind.to_le_bytes());
        for word in [
            self.flags,
            self.address,
            self.at,
            self.size,
            0,
            self.align,
            0,
        ] {
            file.extend(word.to_le_bytes());
        }
    }
}
