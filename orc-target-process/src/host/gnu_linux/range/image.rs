//! The shared object that a range is to the loader: one page that describes a gigabyte.
//!
//! ```text
//! first_address   +--------------------------+
//!                 | this page (R)            |  PT_LOAD, from the file
//!  + 1 page       +--------------------------+
//!                 | the range (R X)          |  PT_LOAD without file content: the loader maps
//!                 |   frame table            |  zeros. Not writable, so it costs no commit charge
//!                 |   names of functions     |  and is not writable and executable.
//!                 |   text, data, ...        |
//!  end - 1 page   +--------------------------+
//!                 | this page again (R W)    |  PT_LOAD, from the file; holds PT_DYNAMIC
//!                 +--------------------------+
//! ```
//!
//! `PT_GNU_EH_FRAME` points to the header of the frame table inside the range. The loader notes
//! that address when it opens the object and unwinders ask it for it, so the table can be filled at
//! any later time.
//!
//! The last segment is there for glibc before 2.35, which relocates the dynamic section in place.
//! It is not first because the loader maps the whole object with the first segment's permissions,
//! and a gigabyte that may be written is refused where memory is not overcommitted. An object needs
//! a dynamic section with a symbol and a string table; `DT_HASH` tells `dladdr` that there is one
//! symbol, the null one. Once the object is loaded these are exchanged for others in memory
//! (`function_names`).
//!
//! Spare program headers in the first page are filled when the range gets data (`data_segments`).

use super::frame_table;
use crate::host::arch::code::ELF_MACHINE;

const PROGRAM_HEADERS: u64 = 64;
const PROGRAM_HEADER_SIZE: u64 = 56;
const PROGRAM_HEADER_COUNT: u16 = 6 + SPARE_HEADERS as u16;
/// Program headers of type `PT_NULL` at the end of those that say something (`data_segments`).
pub(crate) const SPARE_HEADERS: usize = 16;
/// Offset of the first of them.
pub(crate) const FIRST_SPARE_HEADER: u64 =
    PROGRAM_HEADERS + PROGRAM_HEADER_SIZE * (PROGRAM_HEADER_COUNT as u64 - SPARE_HEADERS as u64);
/// Offset of the symbol table.
pub(super) const SYMBOL_TABLE: u64 =
    PROGRAM_HEADERS + PROGRAM_HEADER_SIZE * PROGRAM_HEADER_COUNT as u64;
const SYMBOL_SIZE: u64 = 24;
/// Offset of the hash table.
pub(super) const HASH_TABLE: u64 = SYMBOL_TABLE + SYMBOL_SIZE;
/// Offset of the string table.
pub(super) const STRING_TABLE: u64 = HASH_TABLE + 16;
const STRING_TABLE_SIZE: u64 = 1;
/// Offset of the dynamic section.
pub(super) const DYNAMIC: u64 = STRING_TABLE + 8;
const DYNAMIC_SIZE: u64 = 16 * 6;
/// Offsets of values in the dynamic section that may be changed in memory (`function_names`).
pub(super) const HASH_ENTRY: u64 = 8;
pub(super) const STRINGS_ENTRY: u64 = 16 + 8;
pub(super) const SYMBOLS_ENTRY: u64 = 32 + 8;
pub(super) const STRINGS_SIZE_ENTRY: u64 = 48 + 8;

const READ: u32 = 4;
const READ_WRITE: u32 = 6;
const READ_EXECUTE: u32 = 5;

/// What the image says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RangeImage {
    /// Address of the first page in the file: where the loader is asked to put it. Zero leaves the
    /// choice to the system.
    pub(crate) first_address: u64,
    /// Bytes of the whole object in memory, whole pages.
    pub(crate) size: u64,
    /// Bytes of a page, and of the image's file.
    pub(crate) page: u64,
    /// Bytes that the frame table may grow to.
    pub(crate) table_size: u64,
}

impl RangeImage {
    /// The file's content.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Writer(Vec::with_capacity(self.page as usize));
        self.write_header(&mut out);
        self.write_program_headers(&mut out);
        out.pad_to(HASH_TABLE); // Spare program headers, and the null symbol.
        for word in [1_u32, 1, 0, 0] {
            out.u32(word); // One bucket and one chain, both empty.
        }
        out.pad_to(DYNAMIC); // The empty string, and padding.
        self.write_dynamic(&mut out);
        out.pad_to(self.page);
        out.0
    }

    fn write_header(&self, out: &mut Writer) {
        const IDENT: [u8; 16] = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0";
        const ET_DYN: u16 = 3;
        out.0.extend_from_slice(&IDENT);
        out.u16(ET_DYN);
        out.u16(ELF_MACHINE);
        out.u32(1); // e_version
        out.u64(0); // e_entry
        out.u64(PROGRAM_HEADERS);
        out.u64(0); // e_shoff
        out.u32(0); // e_flags
        out.u16(PROGRAM_HEADERS as u16); // e_ehsize
        out.u16(PROGRAM_HEADER_SIZE as u16);
        out.u16(PROGRAM_HEADER_COUNT);
        out.u16(64); // e_shentsize
        out.u16(0); // e_shnum
        out.u16(0); // e_shstrndx
    }

    fn write_program_headers(&self, out: &mut Writer) {
        const PT_LOAD: u32 = 1;
        const PT_DYNAMIC: u32 = 2;
        const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
        const PT_GNU_STACK: u32 = 0x6474_e551;
        let first = self.first_address;
        let range = first + self.page;
        let last = first + self.size - self.page;
        let page = |kind, flags, address, file_size| Segment {
            kind,
            flags,
            offset: 0,
            address,
            file_size,
            size: self.page,
            align: self.page,
        };
        page(PT_LOAD, READ, first, self.page).write(out);
        Segment {
            size: last - range,
            ..page(PT_LOAD, READ_EXECUTE, range, 0)
        }
        .write(out);
        page(PT_LOAD, READ_WRITE, last, self.page).write(out);
        // Without the write flag here, newer loaders leave the section, and so the page, untouched.
        let dynamic = Segment {
            kind: PT_DYNAMIC,
            flags: READ,
            offset: DYNAMIC,
            address: last + DYNAMIC,
            file_size: DYNAMIC_SIZE,
            size: DYNAMIC_SIZE,
            align: 8,
        };
        dynamic.write(out);
        let frames = Segment {
            kind: PT_GNU_EH_FRAME,
            flags: READ,
            offset: 0,
            address: range + frame_table::HEADER,
            file_size: 0,
            size: self.table_size - frame_table::HEADER,
            align: 4,
        };
        frames.write(out);
        // Without this header the loader would make every stack executable.
        let stack = Segment {
            kind: PT_GNU_STACK,
            flags: READ_WRITE,
            offset: 0,
            address: 0,
            file_size: 0,
            size: 0,
            align: 16,
        };
        stack.write(out);
    }

    fn write_dynamic(&self, out: &mut Writer) {
        const DT_NULL: u64 = 0;
        const DT_HASH: u64 = 4;
        const DT_STRTAB: u64 = 5;
        const DT_SYMTAB: u64 = 6;
        const DT_STRSZ: u64 = 10;
        const DT_SYMENT: u64 = 11;
        let first = self.first_address;
        for (tag, value) in [
            (DT_HASH, first + HASH_TABLE),
            (DT_STRTAB, first + STRING_TABLE),
            (DT_SYMTAB, first + SYMBOL_TABLE),
            (DT_STRSZ, STRING_TABLE_SIZE),
            (DT_SYMENT, SYMBOL_SIZE),
            (DT_NULL, 0),
        ] {
            out.u64(tag);
            out.u64(value);
        }
    }
}

/// One program header.
struct Segment {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    file_size: u64,
    size: u64,
    align: u64,
}

impl Segment {
    fn write(&self, out: &mut Writer) {
        out.u32(self.kind);
        out.u32(self.flags);
        out.u64(self.offset);
        out.u64(self.address); // p_vaddr
        out.u64(self.address); // p_paddr
        out.u64(self.file_size);
        out.u64(self.size);
        out.u64(self.align);
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    fn pad_to(&mut self, offset: u64) {
        debug_assert!(
            self.0.len() as u64 <= offset,
            "the parts of the image do not overlap"
        );
        self.0.resize(offset as usize, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_is_one_page_and_every_part_is_where_the_headers_say() {
        let image = RangeImage {
            first_address: 0x1000_0000,
            size: 1 << 24,
            page: 4096,
            table_size: 1 << 16,
        };
        let bytes = image.bytes();
        assert_eq!(bytes.len(), 4096);
        let word = |offset: u64| {
            let at = offset as usize;
            u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
        };
        // PT_DYNAMIC is the fourth header; p_offset and p_vaddr are its second and third words.
        let dynamic = PROGRAM_HEADERS + 3 * PROGRAM_HEADER_SIZE;
        assert_eq!(word(dynamic) & 0xffff_ffff, 2);
        let offset = word(dynamic + 8);
        assert_eq!(word(dynamic + 16) & 0xfff, offset);
        assert_eq!(word(offset), 4, "DT_HASH comes first");
        assert_eq!(word(offset + 8), 0x1000_0000 + HASH_TABLE);
        assert_eq!(word(HASH_TABLE), 1 | 1 << 32);
        // The segments are contiguous: the loader must find no hole.
        let load = |index: u64| {
            let header = PROGRAM_HEADERS + index * PROGRAM_HEADER_SIZE;
            (word(header + 16), word(header + 40))
        };
        assert_eq!(load(0).0 + load(0).1, load(1).0);
        assert_eq!(load(1).0 + load(1).1, load(2).0);
        assert_eq!(load(2).0 + load(2).1, 0x1000_0000 + (1 << 24));
    }
}
