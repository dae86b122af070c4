//! Writing shared objects for the loader: the one place that knows how their headers and tables are laid
//! out.

use super::{DT_NULL, PF_R, PF_W, PT_GNU_STACK};
use crate::host::arch::code::ELF_MACHINE;

/// Bytes of the ELF header.
pub(crate) const HEADER_SIZE: u64 = 64;
/// Bytes of a program header.
pub(crate) const SEGMENT_SIZE: u64 = 56;
/// Bytes of a symbol.
pub(crate) const SYMBOL_SIZE: u64 = 24;
/// Bytes of an entry of a dynamic section.
pub(crate) const DYNAMIC_ENTRY_SIZE: u64 = 16;
/// Bytes of a hash table (`DT_HASH`) that holds the null symbol alone.
pub(crate) const EMPTY_HASH_TABLE_SIZE: u64 = 16;

/// A program header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    /// A `PT_*` type.
    pub kind: u32,
    /// `PF_*` flags.
    pub flags: u32,
    /// Offset in the file.
    pub offset: u64,
    /// Address in the object.
    pub address: u64,
    /// Bytes in the file.
    pub file_size: u64,
    /// Bytes in memory.
    pub size: u64,
    /// Alignment in bytes.
    pub align: u64,
}

impl Segment {
    /// A segment whose place in the file is its place in memory.
    pub(crate) fn of_file(kind: u32, flags: u32, start: u64, size: u64, align: u64) -> Self {
        Self {
            kind,
            flags,
            offset: start,
            address: start,
            file_size: size,
            size,
            align,
        }
    }

    /// Says what stacks are like. Without it, the loader would make every stack executable.
    pub(crate) fn stack(more_flags: u32) -> Self {
        Self::of_file(PT_GNU_STACK, PF_R | PF_W | more_flags, 0, 0, 16)
    }
}

/// An object that is being written.
#[derive(Default, Debug)]
pub(crate) struct Writer {
    /// What there is of the file.
    pub(crate) bytes: Vec<u8>,
}

impl Writer {
    /// The header of a shared object of this CPU, without an entry point and sections, whose program
    /// headers follow.
    pub(crate) fn header(&mut self, segments: usize) {
        const IDENT: [u8; 16] = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0";
        const ET_DYN: u16 = 3;
        self.bytes.extend(IDENT);
        self.halves(&[ET_DYN, ELF_MACHINE]);
        self.words(&[1]); // e_version
        self.longs(&[0, HEADER_SIZE, 0]); // e_entry, e_phoff, e_shoff
        self.words(&[0]); // e_flags
        self.halves(&[HEADER_SIZE as u16, SEGMENT_SIZE as u16, segments as u16]);
        self.halves(&[64, 0, 0]); // e_shentsize, e_shnum, e_shstrndx
    }

    /// A program header.
    pub(crate) fn segment(&mut self, segment: Segment) {
        self.words(&[segment.kind, segment.flags]);
        self.longs(&[segment.offset, segment.address, segment.address]);
        self.longs(&[segment.file_size, segment.size, segment.align]);
    }

    /// A hash table that holds the null symbol alone.
    pub(crate) fn empty_hash_table(&mut self) {
        self.words(&[1, 1, 0, 0]); // One bucket and one chain, both empty.
    }

    /// A relocation with its addend.
    pub(crate) fn relocation(&mut self, offset: u64, kind: u32, symbol: usize, addend: u64) {
        let info = (symbol as u64) << 32 | u64::from(kind);
        self.longs(&[offset, info, addend]);
    }

    /// A dynamic section, with the entry that ends it.
    pub(crate) fn dynamic(&mut self, entries: impl IntoIterator<Item = (u64, u64)>) {
        for (tag, value) in entries {
            self.longs(&[tag, value]);
        }
        self.longs(&[DT_NULL, 0]);
    }

    /// 16-bit values.
    pub(crate) fn halves(&mut self, values: &[u16]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.bytes.extend(bytes);
    }

    /// 32-bit values.
    pub(crate) fn words(&mut self, values: &[u32]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.bytes.extend(bytes);
    }

    /// 64-bit values.
    pub(crate) fn longs(&mut self, values: &[u64]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.bytes.extend(bytes);
    }

    /// Zeros up to an offset.
    pub(crate) fn pad_to(&mut self, offset: u64) {
        debug_assert!(
            self.bytes.len() as u64 <= offset,
            "the parts of the object do not overlap"
        );
        self.bytes.resize(offset as usize, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_the_sizes_that_they_say() {
        let mut out = Writer::default();
        out.header(2);
        assert_eq!(out.bytes.len() as u64, HEADER_SIZE);
        assert_eq!(out.bytes[54..58], [56, 0, 2, 0]);
        out.segment(Segment::stack(0));
        assert_eq!(out.bytes.len() as u64, HEADER_SIZE + SEGMENT_SIZE);
        let before = out.bytes.len() as u64;
        out.empty_hash_table();
        out.dynamic([(1, 2)]);
        let after = before + EMPTY_HASH_TABLE_SIZE + 2 * DYNAMIC_ENTRY_SIZE;
        assert_eq!(out.bytes.len() as u64, after);
    }
}
