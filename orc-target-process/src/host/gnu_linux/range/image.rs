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
use crate::host::elf;
use crate::host::elf::writer::{
    DYNAMIC_ENTRY_SIZE, EMPTY_HASH_TABLE_SIZE, HEADER_SIZE, SEGMENT_SIZE, SYMBOL_SIZE, Segment,
    Writer,
};

const PROGRAM_HEADER_COUNT: usize = 6 + SPARE_HEADERS;
/// Program headers of type `PT_NULL` at the end of those that say something (`data_segments`).
pub(crate) const SPARE_HEADERS: usize = 16;
/// Offset of the first of them.
pub(crate) const FIRST_SPARE_HEADER: u64 =
    HEADER_SIZE + SEGMENT_SIZE * (PROGRAM_HEADER_COUNT - SPARE_HEADERS) as u64;
/// Offset of the symbol table.
pub(super) const SYMBOL_TABLE: u64 = HEADER_SIZE + SEGMENT_SIZE * PROGRAM_HEADER_COUNT as u64;
/// Offset of the hash table.
pub(super) const HASH_TABLE: u64 = SYMBOL_TABLE + SYMBOL_SIZE;
/// Offset of the string table.
pub(super) const STRING_TABLE: u64 = HASH_TABLE + EMPTY_HASH_TABLE_SIZE;
const STRING_TABLE_SIZE: u64 = 1;
/// Offset of the dynamic section.
pub(super) const DYNAMIC: u64 = STRING_TABLE + 8;
const DYNAMIC_SIZE: u64 = DYNAMIC_ENTRY_SIZE * 6;
/// Offsets of values in the dynamic section that may be changed in memory (`function_names`).
pub(super) const HASH_ENTRY: u64 = 8;
pub(super) const STRINGS_ENTRY: u64 = 16 + 8;
pub(super) const SYMBOLS_ENTRY: u64 = 32 + 8;
pub(super) const STRINGS_SIZE_ENTRY: u64 = 48 + 8;

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
        let mut out = Writer::default();
        out.bytes.reserve(self.page as usize);
        out.header(PROGRAM_HEADER_COUNT);
        for segment in self.segments() {
            out.segment(segment);
        }
        out.pad_to(HASH_TABLE); // Spare program headers, and the null symbol.
        out.empty_hash_table();
        out.pad_to(DYNAMIC); // The empty string, and padding.
        let first = self.first_address;
        out.dynamic([
            (elf::DT_HASH, first + HASH_TABLE),
            (elf::DT_STRTAB, first + STRING_TABLE),
            (elf::DT_SYMTAB, first + SYMBOL_TABLE),
            (elf::DT_STRSZ, STRING_TABLE_SIZE),
            (elf::DT_SYMENT, SYMBOL_SIZE),
        ]);
        out.pad_to(self.page);
        out.bytes
    }

    fn segments(&self) -> [Segment; PROGRAM_HEADER_COUNT - SPARE_HEADERS] {
        let first = self.first_address;
        let range = first + self.page;
        let last = first + self.size - self.page;
        let page = |flags, address| Segment {
            address,
            ..Segment::of_file(elf::PT_LOAD, flags, 0, self.page, self.page)
        };
        [
            page(elf::PF_R, first),
            Segment {
                file_size: 0,
                size: last - range,
                ..page(elf::PF_R | elf::PF_X, range)
            },
            page(elf::PF_R | elf::PF_W, last),
            // Without the write flag here, newer loaders leave the section, and so the page, untouched.
            Segment {
                address: last + DYNAMIC,
                ..Segment::of_file(elf::PT_DYNAMIC, elf::PF_R, DYNAMIC, DYNAMIC_SIZE, 8)
            },
            Segment {
                kind: elf::PT_GNU_EH_FRAME,
                flags: elf::PF_R,
                offset: 0,
                address: range + frame_table::HEADER,
                file_size: 0,
                size: self.table_size - frame_table::HEADER,
                align: 4,
            },
            Segment::stack(0),
        ]
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
        let dynamic = HEADER_SIZE + 3 * SEGMENT_SIZE;
        assert_eq!(word(dynamic) & 0xffff_ffff, 2);
        let offset = word(dynamic + 8);
        assert_eq!(word(dynamic + 16) & 0xfff, offset);
        assert_eq!(word(offset), 4, "DT_HASH comes first");
        assert_eq!(word(offset + 8), 0x1000_0000 + HASH_TABLE);
        assert_eq!(word(HASH_TABLE), 1 | 1 << 32);
        // The segments are contiguous: the loader must find no hole.
        let load = |index: u64| {
            let header = HEADER_SIZE + index * SEGMENT_SIZE;
            (word(header + 16), word(header + 40))
        };
        assert_eq!(load(0).0 + load(0).1, load(1).0);
        assert_eq!(load(1).0 + load(1).1, load(2).0);
        assert_eq!(load(2).0 + load(2).1, 0x1000_0000 + (1 << 24));
    }
}
