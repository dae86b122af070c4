//! The thread pointer of x86-64: the segment register `fs`.

use std::arch::asm;
use std::ffi::c_void;

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
