//! The program's thread-local variables, for its libraries.
//!
//! A library refers to another object's thread-local by module and offset, or by its offset from the
//! thread pointer, and the loader computes either from the defining object: its number, the place of
//! its block, the symbol's offset in the block. Linked code's thread-locals lie in storage of the
//! executor's (`tls`), at a fixed offset from every thread's pointer. So they are defined by an
//! object with a block of one byte at a fixed offset, and their offsets in that block lead out of it
//! to where they are. The loader checks no bounds; general and local dynamic, initial exec,
//! descriptors and `dlsym` all come out right, also for libraries opened later.
//!
//! Where the block lies is known only when the object is loaded; its symbols are completed then.
//! Nobody can have looked them up before: it is opened before the program's libraries are.

use std::io;

use orc_shared::api::{Export, NativeKind, SegmentKind};

use super::ProgramError;
use crate::host::loader::{Image, ImageSpec, OpenImage, tables};
use crate::host::pages::{page_size, protect};

/// Opens the object that defines the thread-locals among `exports`, if there are any.
pub(super) fn open(exports: &[Export]) -> Result<Option<OpenImage>, ProgramError> {
    let thread_locals: Vec<Export> = exports
        .iter()
        .filter(|export| export.kind == NativeKind::ThreadLocal)
        .cloned()
        .collect();
    if thread_locals.is_empty() {
        return Ok(None);
    }
    let image = Image::new(&ImageSpec {
        exports: &thread_locals,
        thread_local_block: true,
        ..ImageSpec::default()
    })?;
    // SAFETY: the object has no code and needs no library.
    let object = unsafe { OpenImage::open(&image.bytes, libc::RTLD_NOW | libc::RTLD_GLOBAL) }?;
    match complete(&object, &image) {
        Ok(()) => Ok(Some(object)),
        Err(error) => {
            object.close();
            Err(error.into())
        }
    }
}

/// Makes the symbols' values, which are offsets from the thread pointer, offsets in the block.
fn complete(object: &OpenImage, image: &Image) -> io::Result<()> {
    const VALUE: u64 = std::mem::offset_of!(libc::Elf64_Sym, st_value) as u64;
    let base = object.base()?;
    // SAFETY: the object is loaded at `base`, and its relocation has filled this word.
    let block: u64 = unsafe { tables::read(base + image.thread_local_offset) };
    let symbols = base + image.exports.start..base + image.exports.end;
    let page = page_size();
    let pages = symbols.start / page * page..symbols.end.next_multiple_of(page);
    let failed = |error: crate::host::MemoryError| io::Error::other(error.to_string());
    protect(pages.clone(), SegmentKind::ReadWrite).map_err(failed)?;
    for symbol in symbols.step_by(size_of::<libc::Elf64_Sym>()) {
        // SAFETY: the value of one of the object's symbols, in pages made writable above.
        unsafe {
            let from_thread_pointer: u64 = tables::read(symbol + VALUE);
            tables::write_word(symbol + VALUE, from_thread_pointer.wrapping_sub(block));
        }
    }
    protect(pages, SegmentKind::Text).map_err(failed)
}
