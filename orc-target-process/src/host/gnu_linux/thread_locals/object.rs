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

use std::io;

use super::template::ALIGNMENT;
use crate::host::elf::writer::{
    DYNAMIC_ENTRY_SIZE, EMPTY_HASH_TABLE_SIZE, HEADER_SIZE, SEGMENT_SIZE, SYMBOL_SIZE, Segment,
    Writer,
};
use crate::host::elf::{self, Rela};

const PAGE: u64 = 4096;
const SEGMENTS: usize = 4;
const SYMBOLS: u64 = HEADER_SIZE + SEGMENTS as u64 * SEGMENT_SIZE;
const HASH: u64 = SYMBOLS + SYMBOL_SIZE;
const STRINGS: u64 = HASH + EMPTY_HASH_TABLE_SIZE;
const RELA: u64 = STRINGS + 8;
const RELA_SIZE: u64 = size_of::<Rela>() as u64;
const DYNAMIC: u64 = RELA + RELA_SIZE;
const DYNAMIC_SIZE: u64 = DYNAMIC_ENTRY_SIZE * 10;

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
///
/// # Errors
/// When there is no memory for so many bytes.
pub(super) fn image(size: u64, align: u64, asked: Asked) -> io::Result<Vec<u8>> {
    const READ_WRITE: u32 = elf::PF_R | elf::PF_W;
    let mut out = Writer::default();
    let bytes = usize::try_from(TEMPLATE.saturating_add(size)).unwrap_or(usize::MAX);
    let reserved = out.bytes.try_reserve_exact(bytes);
    reserved.map_err(|_| io::ErrorKind::OutOfMemory)?;
    out.header(SEGMENTS);
    for (kind, flags, start, size, align) in [
        (elf::PT_LOAD, READ_WRITE, 0, TEMPLATE + size, PAGE),
        (elf::PT_DYNAMIC, READ_WRITE, DYNAMIC, DYNAMIC_SIZE, 8),
        (elf::PT_TLS, elf::PF_R, TEMPLATE, size, align),
    ] {
        out.segment(Segment::of_file(kind, flags, start, size, align));
    }
    out.segment(Segment::stack(0));
    out.pad_to(HASH); // The null symbol.
    out.empty_hash_table();
    out.pad_to(RELA); // The empty string, and padding.
    // Of the null symbol, which stands for the object itself.
    out.relocation(RESULT, asked.relocation, 0, 0);
    out.dynamic([
        (elf::DT_HASH, HASH),
        (elf::DT_STRTAB, STRINGS),
        (elf::DT_SYMTAB, SYMBOLS),
        (elf::DT_RELA, RELA),
        (elf::DT_RELASZ, RELA_SIZE),
        (elf::DT_RELAENT, RELA_SIZE),
        (elf::DT_STRSZ, 1),
        (elf::DT_SYMENT, SYMBOL_SIZE),
        (elf::DT_FLAGS, u64::from(asked.fixed) * elf::DF_STATIC_TLS),
    ]);
    out.pad_to(TEMPLATE + size);
    Ok(out.bytes)
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
        let bytes = image(1000, 64, asked).expect("made");
        assert_eq!(bytes.len() as u64, TEMPLATE + 1000);
        let long = |offset: u64| {
            let at = offset as usize;
            u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
        };
        assert_eq!(long(32), HEADER_SIZE);
        let tls = HEADER_SIZE + 2 * SEGMENT_SIZE;
        assert_eq!(long(tls) as u32, elf::PT_TLS);
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
