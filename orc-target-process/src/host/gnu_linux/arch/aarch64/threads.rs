//! The thread pointer of AArch64: the system register `tpidr_el0`.

use std::arch::asm;
use std::ffi::c_void;

/// Where the C library's descriptor of a thread lies that has `size` bytes, as a distance from the thread
/// pointer: it ends there.
pub(crate) const fn descriptor_offset(size: u64) -> i64 {
    size.cast_signed().wrapping_neg()
}

/// Whether the C library made the control block that `pointer` leads to: then the first word is the
/// address of a table (psABI, the dynamic thread vector).
///
/// # Safety
/// It is a thread's pointer.
pub(crate) unsafe fn is_of_c_library(pointer: u64) -> bool {
    // SAFETY: the caller says so.
    pointer != 0 && unsafe { crate::host::loader::tables::read::<u64>(pointer) } != 0
}

/// The thread pointer of the calling thread.
pub(crate) fn thread_pointer() -> u64 {
    let pointer: *mut c_void;
    // SAFETY: reads a register that user mode may read, and changes nothing.
    unsafe {
        asm!(
            "mrs {}, tpidr_el0",
            out(reg) pointer,
            options(nostack, preserves_flags, nomem)
        );
    }
    pointer.expose_provenance() as u64
}
