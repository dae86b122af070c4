//! The thread pointer of AArch64: the system register `tpidr_el0`.

use std::arch::asm;
use std::ffi::c_void;

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
