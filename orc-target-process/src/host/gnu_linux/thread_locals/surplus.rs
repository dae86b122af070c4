//! More thread-local storage at fixed offsets, from what the loader keeps free.
//!
//! The loader lays out the thread-locals of all libraries it starts a process with, and leaves some
//! room for libraries that are opened later and insist on fixed offsets: 512 bytes, or what
//! `GLIBC_TUNABLES=glibc.rtld.optional_static_tls=BYTES` says when the process starts. To take
//! from that room, a shared object is synthesized that has nothing but a thread-local variable and
//! asks for its offset (`R_X86_64_TPOFF64`).
//!
//! The template is written later like that of the executable, so the object is a place like the
//! built-in reserve.

use super::object::{self, Asked};
use super::template::Place;
use super::threads::Threads;
use crate::host::arch::synthesized::R_TPOFF;
use crate::host::loader::{LoaderError, OpenImage, loaded_objects, tables};

/// Takes `size` bytes aligned to `align`, which the process keeps from then on.
///
/// # Errors
/// With the loader's message, if there is not so much room.
pub(super) fn take(size: u64, align: u64) -> Result<Place, LoaderError> {
    let asked = Asked {
        relocation: R_TPOFF,
        fixed: true,
    };
    let bytes = object::image(size, align, asked)?;
    // SAFETY: the object has no code; its one relocation is for a word of its own.
    let object = unsafe { OpenImage::open_unseen(&bytes, libc::RTLD_NOW | libc::RTLD_LOCAL) }?;
    let base = object.base()?;
    // SAFETY: the object is loaded at `base`, and stays so.
    let [tp_offset]: [u64; 1] = unsafe { tables::read(base + object::RESULT) };
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
        template: base + object::TEMPLATE,
        object,
        threads: Threads::find(),
    })
}
