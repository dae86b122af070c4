//! More thread-local storage at fixed offsets, from what the loader keeps free.
//!
//! The loader lays out the thread-locals of all libraries it starts a process with, and leaves some
//! room for libraries that are opened later and insist on fixed offsets: 512 bytes, or what
//! `GLIBC_TUNABLES=glibc.rtld.optional_static_tls=BYTES` says when the process starts. To take
//! from that room, a shared object is synthesized that has nothing but a thread-local variable and
//! asks for its offset:
//!
//! ```text
//! page 0  R    ELF header, program headers, the tables that an object must have, .rela.dyn
//! page 1  R W  dynamic section, the offset (`R_X86_64_TPOFF64`)
//! page 2  R W  the template: zeros without bytes in the file
//! ```
//!
//! The template is written later like that of the executable, so the object is a place like the
//! built-in reserve.

use super::template::{ALIGNMENT, Place};
use super::threads::Threads;
use crate::native::{EM, LoaderError, OpenImage, PT_TLS, R_TPOFF, host, loaded_objects};

const PAGE: u64 = 4096;
const HEADER_SIZE: u64 = 64;
const SEGMENT_SIZE: u64 = 56;
const SEGMENTS: u64 = 5;
const SYMBOLS: u64 = HEADER_SIZE + SEGMENTS * SEGMENT_SIZE;
const HASH: u64 = SYMBOLS + 24;
const STRINGS: u64 = HASH + 16;
const RELA: u64 = STRINGS + 8;
const DYNAMIC: u64 = PAGE;
const DYNAMIC_SIZE: u64 = 16 * 10;
const OFFSET: u64 = DYNAMIC + DYNAMIC_SIZE;
const FILE_SIZE: u64 = OFFSET + 8;
const TEMPLATE: u64 = 2 * PAGE;

const _: () = assert!(RELA + 24 <= PAGE && FILE_SIZE <= TEMPLATE && ALIGNMENT <= TEMPLATE);

/// Takes `size` bytes aligned to `align`, which the process keeps from then on.
///
/// # Errors
/// With the loader's message, if there is not so much room.
pub(super) fn take(size: u64, align: u64) -> Result<Place, LoaderError> {
    let bytes = image(size, align);
    // SAFETY: the object has no code; its one relocation is for a word of its own.
    let object = unsafe { OpenImage::open(&bytes, libc::RTLD_NOW | libc::RTLD_LOCAL) }?;
    let base = object.base()?;
    // SAFETY: the object is loaded at `base`, and stays so.
    let [tp_offset]: [u64; 1] = unsafe { host::read(base + OFFSET) };
    // Dropped without being closed, it stays for the rest of the process.
    drop(object);
    let loaded = loaded_objects()
        .into_iter()
        .find(|object| object.bias == base);
    let object =
        loaded.ok_or_else(|| LoaderError::Loader("it is not in the loader's list".into()))?;
    Ok(Place {
        tp_offset: tp_offset.cast_signed(),
        size,
        template: base + TEMPLATE,
        object,
        threads: Threads::find(),
    })
}

/// The object's file.
fn image(size: u64, align: u64) -> Vec<u8> {
    const READ: u32 = 4;
    const READ_WRITE: u32 = 6;
    const PT_LOAD: u32 = 1;
    const PT_DYNAMIC: u32 = 2;
    const PT_GNU_STACK: u32 = 0x6474_e551;
    let mut out = Words(Vec::new());
    out.0.extend(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    out.word(3 | u32::from(EM) << 16); // ET_DYN
    out.word(1);
    out.longs(&[0, HEADER_SIZE, 0]); // Entry point, program headers, section headers.
    out.word(0);
    out.word(HEADER_SIZE as u32 | (SEGMENT_SIZE as u32) << 16);
    out.word(SEGMENTS as u32 | 64 << 16);
    out.word(0);
    let end = TEMPLATE + size;
    for (kind, flags, start, file_size, memory_size, align) in [
        (PT_LOAD, READ, 0, PAGE, PAGE, PAGE),
        (
            PT_LOAD,
            READ_WRITE,
            PAGE,
            FILE_SIZE - PAGE,
            end - PAGE,
            PAGE,
        ),
        (
            PT_DYNAMIC,
            READ_WRITE,
            DYNAMIC,
            DYNAMIC_SIZE,
            DYNAMIC_SIZE,
            8,
        ),
        // The loader copies as much as the file is said to have, from memory.
        (PT_TLS, READ, TEMPLATE, size, size, align),
        (PT_GNU_STACK, READ_WRITE, 0, 0, 0, 16),
    ] {
        out.word(kind);
        out.word(flags);
        out.longs(&[start, start, start, file_size, memory_size, align]);
    }
    out.pad_to(HASH); // The null symbol.
    for word in [1, 1, 0, 0] {
        out.word(word); // One bucket and one chain, both empty.
    }
    out.pad_to(RELA); // The empty string, and padding.
    // Of the null symbol, which stands for the object itself.
    out.longs(&[OFFSET, u64::from(R_TPOFF), 0]);
    out.pad_to(DYNAMIC);
    const DF_STATIC_TLS: u64 = 16;
    for (tag, value) in [
        (4, HASH),           // DT_HASH
        (5, STRINGS),        // DT_STRTAB
        (6, SYMBOLS),        // DT_SYMTAB
        (7, RELA),           // DT_RELA
        (8, 24),             // DT_RELASZ
        (9, 24),             // DT_RELAENT
        (10, 1),             // DT_STRSZ
        (11, 24),            // DT_SYMENT
        (30, DF_STATIC_TLS), // DT_FLAGS
        (0, 0),              // DT_NULL
    ] {
        out.longs(&[tag, value]);
    }
    out.pad_to(FILE_SIZE);
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
        let bytes = image(1000, 64);
        assert_eq!(bytes.len() as u64, FILE_SIZE);
        let long = |offset: u64| {
            let at = offset as usize;
            u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
        };
        assert_eq!(long(32), HEADER_SIZE);
        let tls = HEADER_SIZE + 3 * SEGMENT_SIZE;
        assert_eq!(long(tls) as u32, PT_TLS);
        assert_eq!(
            [long(tls + 16), long(tls + 40), long(tls + 48)],
            [TEMPLATE, 1000, 64]
        );
        assert_eq!(long(RELA), OFFSET);
        assert_eq!([long(DYNAMIC), long(DYNAMIC + 8)], [4, HASH]);
        assert_eq!(long(DYNAMIC + DYNAMIC_SIZE - 16), 0);
    }
}
