//! Shared objects that have nothing but thread-local storage, synthesized for the loader.
//!
//! ```text
//! ELF header, program headers, the tables that an object must have, .rela.dyn
//! dynamic section
//! one word for the relocation's result
//! the template: zeros
//! ```
//!
//! All of that is one segment that can be written to: the template gets its content later.

use super::template::ALIGNMENT;
use crate::host::arch::code::ELF_MACHINE;
use crate::host::loader::PT_TLS;

const PAGE: u64 = 4096;
const HEADER_SIZE: u64 = 64;
const SEGMENT_SIZE: u64 = 56;
const SEGMENTS: u64 = 4;
const SYMBOLS: u64 = HEADER_SIZE + SEGMENTS * SEGMENT_SIZE;
const HASH: u64 = SYMBOLS + 24;
const STRINGS: u64 = HASH + 16;
const RELA: u64 = STRINGS + 8;
const DYNAMIC: u64 = RELA + 24;
const DYNAMIC_SIZE: u64 = 16 * 10;

/// Offset of the word that holds the relocation's result.
pub(super) const RESULT: u64 = DYNAMIC + DYNAMIC_SIZE;
/// Offset of the template, aligned as far as any may be.
pub(super) const TEMPLATE: u64 = PAGE;

const _: () = assert!(RESULT + 8 <= TEMPLATE && TEMPLATE.is_multiple_of(ALIGNMENT));

/// What the object's word is to hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Asked {
    /// A relocation type.
    pub relocation: u32,
    /// Whether the thread-locals have to be at a fixed offset from the thread pointer.
    pub fixed: bool,
}

/// The object's file: its thread-locals have so many bytes, aligned to `align`.
pub(super) fn image(size: u64, align: u64, asked: Asked) -> Vec<u8> {
    const READ: u32 = 4;
    const READ_WRITE: u32 = 6;
    const PT_LOAD: u32 = 1;
    const PT_DYNAMIC: u32 = 2;
    const PT_GNU_STACK: u32 = 0x6474_e551;
    let mut out = Words(Vec::new());
    out.0.extend(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    out.word(3 | u32::from(ELF_MACHINE) << 16); // ET_DYN
    out.word(1);
    out.longs(&[0, HEADER_SIZE, 0]); // Entry point, program headers, section headers.
    out.word(0);
    out.word(HEADER_SIZE as u32 | (SEGMENT_SIZE as u32) << 16);
    out.word(SEGMENTS as u32 | 64 << 16);
    out.word(0);
    for (kind, flags, start, size, align) in [
        (PT_LOAD, READ_WRITE, 0, TEMPLATE + size, PAGE),
        (PT_DYNAMIC, READ_WRITE, DYNAMIC, DYNAMIC_SIZE, 8),
        (PT_TLS, READ, TEMPLATE, size, align),
        (PT_GNU_STACK, READ_WRITE, 0, 0, 16),
    ] {
        out.word(kind);
        out.word(flags);
        out.longs(&[start, start, start, size, size, align]);
    }
    out.pad_to(HASH); // The null symbol.
    for word in [1, 1, 0, 0] {
        out.word(word); // One bucket and one chain, both empty.
    }
    out.pad_to(RELA); // The empty string, and padding.
    // Of the null symbol, which stands for the object itself.
    out.longs(&[RESULT, u64::from(asked.relocation), 0]);
    const DF_STATIC_TLS: u64 = 16;
    for (tag, value) in [
        (4, HASH),                                    // DT_HASH
        (5, STRINGS),                                 // DT_STRTAB
        (6, SYMBOLS),                                 // DT_SYMTAB
        (7, RELA),                                    // DT_RELA
        (8, 24),                                      // DT_RELASZ
        (9, 24),                                      // DT_RELAENT
        (10, 1),                                      // DT_STRSZ
        (11, 24),                                     // DT_SYMENT
        (30, u64::from(asked.fixed) * DF_STATIC_TLS), // DT_FLAGS
        (0, 0),                                       // DT_NULL
    ] {
        out.longs(&[tag, value]);
    }
    out.pad_to(TEMPLATE + size);
    out.0
}

struct Words(Vec<u8>);

impl Words {
    fn word(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    fn longs(&mut self, values: &[u64]) {
        self.0
            .extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    fn pad_to(&mut self, offset: u64) {
        debug_assert!(self.0.len() as u64 <= offset, "parts do not overlap");
        self.0.resize(offset as usize, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_where_the_headers_say() {
        let asked = Asked {
            relocation: 18,
            fixed: true,
        };
        let bytes = image(1000, 64, asked);
        assert_eq!(bytes.len() as u64, TEMPLATE + 1000);
        let long = |offset: u64| {
            let at = offset as usize;
            u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
        };
        assert_eq!(long(32), HEADER_SIZE);
        let tls = HEADER_SIZE + 2 * SEGMENT_SIZE;
        assert_eq!(long(tls) as u32, PT_TLS);
        assert_eq!(
            [long(tls + 16), long(tls + 40), long(tls + 48)],
            [TEMPLATE, 1000, 64]
        );
        assert_eq!([long(RELA), long(RELA + 8)], [RESULT, 18]);
        assert_eq!([long(DYNAMIC), long(DYNAMIC + 8)], [4, HASH]);
        assert_eq!(long(DYNAMIC + DYNAMIC_SIZE - 32), 30);
        assert_eq!(long(DYNAMIC + DYNAMIC_SIZE - 24), 16);
        assert_eq!(long(DYNAMIC + DYNAMIC_SIZE - 16), 0);
    }
}
