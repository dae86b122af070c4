//! Where the reserve is: in each thread, and in the template that new threads start from.

use super::TlsError;
use super::threads::Threads;
use crate::host::arch::threads::thread_pointer;
use crate::host::loader::{LoadedObject, PT_TLS, loaded_objects, with_writable};

/// Alignment of the reserve, as the build script declares it.
pub(super) const ALIGNMENT: u64 = 4096;

/// The place of the reserve, or of what was taken in addition.
#[derive(Debug)]
pub(super) struct Place {
    /// Offset of its first byte from the thread pointer.
    pub tp_offset: i64,
    /// Its size in bytes.
    pub size: u64,
    /// Address of its bytes in the template.
    pub(super) template: u64,
    /// The executable, or the object that it was taken with.
    pub(super) object: LoadedObject,
    pub(super) threads: Threads,
}

unsafe extern "C" {
    fn orc_target_process_find_tls_reserve(size: *mut usize) -> *mut u8;
    #[cfg(feature = "tls-reserve")]
    fn orc_target_process_tls_reserve(size: *mut usize) -> *mut u8;
}

/// Brings the reserve into whatever this is linked into.
#[cfg(feature = "tls-reserve")]
#[used]
static RESERVE: unsafe extern "C" fn(*mut usize) -> *mut u8 = orc_target_process_tls_reserve;

/// Where the reserve of this thread is, and its size, if the executable has one.
fn this_threads_copy() -> Option<(u64, u64)> {
    let mut size = 0;
    // SAFETY: `size` is where the function stores the size.
    let start = unsafe { orc_target_process_find_tls_reserve(&raw mut size) };
    (!start.is_null()).then(|| (start.expose_provenance() as u64, size as u64))
}

impl Place {
    /// Finds the built-in reserve and its template, if there is one.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn find() -> Result<Option<Self>, &'static str> {
        let Some((start, size)) = this_threads_copy() else {
            return Ok(None);
        };
        let (object, offset, header) = loaded_objects()
            .into_iter()
            .find_map(|object| {
                let header = *object.header(PT_TLS)?;
                let offset = start.checked_sub(object.tls_block)?;
                let inside = object.tls_block != 0 && offset + size <= header.p_memsz;
                inside.then_some((object, offset, header))
            })
            .ok_or("no loaded object holds it")?;
        // The template has bytes for initialized variables only.
        if offset + size > header.p_filesz {
            return Err("the template does not hold all of it");
        }
        let tp_offset = start.wrapping_sub(thread_pointer()).cast_signed();
        if tp_offset.rem_euclid(ALIGNMENT as i64) != 0 {
            return Err("it is not aligned");
        }
        let template = object
            .bias
            .wrapping_add(header.p_vaddr)
            .wrapping_add(offset);
        Ok(Some(Self {
            tp_offset,
            size,
            template,
            object,
            threads: Threads::find(),
        }))
    }

    /// Writes `bytes` at offset `start` of the reserve, for all threads to come and all that exist.
    pub fn write(&self, start: u64, bytes: &[u8]) -> Result<(), TlsError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let copy = |to: u64| {
            // SAFETY: callers pass bytes of a block of the reserve, which lies in the template and
            // in this thread's copy; no code that is running knows of the block (yet, or any more).
            unsafe {
                std::ptr::with_exposed_provenance_mut::<u8>(to as usize)
                    .copy_from(bytes.as_ptr(), bytes.len());
            }
        };
        // The template lies in RELRO.
        with_writable(&self.object, || copy(self.template + start))
            .map_err(TlsError::Protection)?;
        let tp_offset = self.tp_offset + start.cast_signed();
        copy(thread_pointer().wrapping_add_signed(tp_offset));
        self.threads.write_others(tp_offset, bytes)
    }
}
