//! Writing to data of loaded objects that the loader made read-only.
//!
//! After relocating an object, the loader protects the pages of `PT_GNU_RELRO`: global offset
//! tables, and the template of thread-locals. Those pages are made writable for the time of a
//! write, one writer at a time, because the second would find them protected by the first.

use std::io;
use std::ops::Range;

use parking_lot::Mutex;

use super::loaded::LoadedObject;
use crate::host::elf;

static WRITER: Mutex<()> = Mutex::new(());

/// The pages of an object that the loader made read-only.
fn protected(object: &LoadedObject) -> Range<u64> {
    let page = crate::host::pages::page_size() - 1;
    let Some(header) = object.header(elf::PT_GNU_RELRO) else {
        return 0..0;
    };
    // The loader protects whole pages only: the last byte may share a page with other data.
    let segment = object.segment(header);
    segment.start & !page..segment.end & !page
}

/// Whether data at an address can be written to within [`with_writable`] only.
pub(crate) fn is_protected(object: &LoadedObject, addr: u64) -> bool {
    protected(object).contains(&addr)
}

/// Calls `write`, during which the object's RELRO pages can be written.
///
/// # Errors
/// When the system refuses to change the protection; `write` was not called, or the pages stay
/// writable.
pub(crate) fn with_writable<R>(object: &LoadedObject, write: impl FnOnce() -> R) -> io::Result<R> {
    let _writer = WRITER.lock();
    let pages = protected(object);
    if pages.is_empty() {
        return Ok(write());
    }
    let protect = |protection| {
        let start = std::ptr::with_exposed_provenance_mut(pages.start as usize);
        let size = (pages.end - pages.start) as usize;
        // SAFETY: these are data pages of a loaded object that are never executed; the loader gave
        // them read permission, which they keep.
        match unsafe { libc::mprotect(start, size, protection) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    protect(libc::PROT_READ | libc::PROT_WRITE)?;
    let result = write();
    protect(libc::PROT_READ)?;
    Ok(result)
}
