//! The thread pointer of x86-64: the segment register `fs`.

use std::arch::asm;
use std::ffi::c_void;

/// Where the C library's descriptor of a thread lies that has `size` bytes, as a distance from the thread
/// pointer: there.
pub(crate) const fn descriptor_offset(_size: u64) -> i64 {
    0
}

/// Whether the C library made the control block that `pointer` leads to: then the third word is its own
/// address (psABI).
///
/// # Safety
/// It is a thread's pointer.
pub(crate) unsafe fn is_of_c_library(pointer: u64) -> bool {
    // SAFETY: the caller says so.
    let itself: u64 = unsafe { crate::host::loader::tables::read(pointer + 16) };
    itself == pointer
}

/// The thread pointer of the calling thread.
pub(crate) fn thread_pointer() -> u64 {
    let pointer: *mut c_void;
    // SAFETY: reads the first word of the thread control block, which holds its own address on
    // x86-64 (psABI, thread-local storage).
    unsafe {
        asm!(
            "mov {}, fs:0",
            out(reg) pointer,
            options(nostack, preserves_flags, readonly)
        );
    }
    pointer.expose_provenance() as u64
}
